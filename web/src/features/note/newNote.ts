import { useRouter } from 'vue-router'
import { useEditing } from '../editing/store'

/** Opens an empty note at once, whether the server can be reached or not. */
export function useNewNote() {
  const editing = useEditing()
  const router = useRouter()
  return () => router.push({ name: 'note', params: { id: editing.compose().key } })
}
