import { defineStore } from 'pinia'
import { ref } from 'vue'

/** Lets anyone ask the open note to take the keyboard. */
export const useEditorFocus = defineStore('editor-focus', () => {
  const wanted = ref(0)
  return { wanted, request: () => wanted.value++ }
})
