import { useQueryClient } from '@tanstack/vue-query'
import { useI18n } from 'vue-i18n'
import { useRouter } from 'vue-router'
import type { Note } from '@/api/gen/note'
import { ApiError } from '@/api/problem'
import { copyText } from '@/ui/clipboard'
import { explanationOf } from '@/ui/failure'
import { useNotices } from '@/ui/notices'
import { useEditing } from '../editing/store'
import { dropNote, updateItems } from '../notes/cache'
import { keys } from '../notes/keys'
import { useShelf } from '../notes/shelf'
import { useRuntime } from '../runtime'

/** What a person can do with a whole note, each with the words that say it is done. */
export function useNoteActions() {
  const { notes } = useRuntime()
  const client = useQueryClient()
  const editing = useEditing()
  const notices = useNotices()
  const shelf = useShelf()
  const router = useRouter()
  const { t } = useI18n({ useScope: 'global' })

  const refresh = () => {
    void client.invalidateQueries({ queryKey: keys.notes })
    void client.invalidateQueries({ queryKey: keys.tags })
  }

  /** Runs an action; a failure is told with its trace id and answers false. */
  async function attempt(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action()
      return true
    } catch (err) {
      if (!(err instanceof ApiError)) throw err
      const why = explanationOf(err)
      const words = why ? t(`error.${why}`) : err.detail
      notices.show(`${t('error.title.action')}. ${words} ${t('error.trace', { id: err.traceId })}`)
      return false
    }
  }

  function mark(note: Note, marks: Partial<Pick<Note, 'pinned' | 'archived'>>): void {
    client.setQueryData<Note>(keys.note(note.id), (known) => known && { ...known, ...marks })
    updateItems(client, note.id, (item) => ({ ...item, ...marks }))
    refresh()
  }

  async function pin(note: Note, pinned: boolean): Promise<void> {
    if (await attempt(() => notes.pin(note.id, pinned))) mark(note, { pinned })
  }

  async function archive(note: Note, archived: boolean): Promise<void> {
    if (!(await attempt(() => notes.archive(note.id, archived)))) return
    mark(note, { archived })
    notices.show(t(archived ? 'note.archived' : 'note.unarchived'), {
      label: t('note.undo'),
      run: () => archive(note, !archived),
    })
  }

  async function trash(note: Note): Promise<void> {
    await editing.find(note.id)?.flush()
    if (!(await attempt(() => notes.trash(note.id)))) return
    dropNote(client, note.id)
    refresh()
    await router.push(shelf.location)
    notices.show(t('note.trashedDone'), { label: t('note.undo'), run: () => restore(note) })
  }

  async function restore(note: Note): Promise<void> {
    const done = await attempt(async () => {
      const back = await notes.restore(note.id)
      client.setQueryData(keys.note(note.id), back)
      editing.gained(note.id)
    })
    if (!done) return
    refresh()
    await router.push({ name: 'note', params: { id: note.id } })
    notices.show(t('note.restored'))
  }

  async function deleteForGood(note: Note): Promise<void> {
    await notes.deleteForGood(note.id)
    dropNote(client, note.id)
    refresh()
    await router.push({ name: 'trash' })
    notices.show(t('note.deleted'))
  }

  async function copyLink(note: Note): Promise<void> {
    const address = new URL(router.resolve({ name: 'note', params: { id: note.id } }).href, location.origin)
    if (await copyText(address.href)) notices.show(t('note.linkCopied'))
  }

  async function copyMarkdown(content: { title: string; body: string }): Promise<void> {
    const text = content.title ? `# ${content.title}\n\n${content.body}` : content.body
    if (await copyText(text)) notices.show(t('note.markdownCopied'))
  }

  return { attempt, pin, archive, trash, restore, deleteForGood, copyLink, copyMarkdown }
}
