import type { Content } from './merge'

/** A note as the server had it. */
export interface Base extends Content {
  version: number
}

/** What a person wrote and the server has not confirmed yet. */
export interface Draft {
  key: string
  userId: string
  /** Missing for a note that was never sent. */
  noteId?: string
  base?: Base
  mine: Content
  /** How they began to bring two versions together. */
  wanted?: Content
  /** What the first attempt to create the note sent: its repetition must be the same. */
  first?: Content
  createKey: string
  /** The tab that is working on it. */
  tab: string
  savedAt: number
}

/** Keeps drafts on the device. */
export interface DraftStore {
  put(draft: Draft): Promise<void>
  remove(key: string): Promise<void>
  /** A person's drafts, oldest first. */
  all(userId: string): Promise<Draft[]>
}

const storeName = 'drafts'

/** Drafts in IndexedDB. Every method rejects where the browser keeps nothing. */
export function indexedDrafts(factory: IDBFactory = indexedDB, name = 'noteworks'): DraftStore {
  let opening: Promise<IDBDatabase> | undefined
  const open = () =>
    (opening ??= openDatabase(factory, name, () => (opening = undefined)).catch((err: unknown) => {
      opening = undefined
      throw err
    }))
  const run = async <T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> => {
    const tx = (await open()).transaction(storeName, mode)
    const request = work(tx.objectStore(storeName))
    return new Promise((resolve, reject) => {
      tx.oncomplete = () => resolve(request.result)
      tx.onabort = tx.onerror = () => reject(tx.error ?? new Error('the draft was not stored'))
    })
  }
  return {
    put: async (draft) => void (await run('readwrite', (store) => store.put(draft))),
    remove: async (key) => void (await run('readwrite', (store) => store.delete(key))),
    all: async (userId) => {
      const drafts = await run<Draft[]>('readonly', (store) => store.index('userId').getAll(userId))
      return drafts.sort((a, b) => a.savedAt - b.savedAt)
    },
  }
}

function openDatabase(factory: IDBFactory, name: string, closed: () => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore(storeName, { keyPath: 'key' }).createIndex('userId', 'userId')
    }
    request.onerror = () => reject(request.error ?? new Error('the device store cannot be opened'))
    request.onsuccess = () => {
      const db = request.result
      db.onclose = closed
      db.onversionchange = () => {
        db.close()
        closed()
      }
      resolve(db)
    }
  })
}
