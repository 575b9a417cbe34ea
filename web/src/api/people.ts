import { everyPage } from './notes'
import type { Send } from './http'
import type { Invitation, InvitationList, InvitationWithCode, ProfileChange, User, UserList, Workspace } from './gen/user'

const at = (id: string) => `/api/v1/users/${encodeURIComponent(id)}`

export type PeopleApi = ReturnType<typeof peopleApi>

/** The people of the workspace as the REST API has them; nothing is kept here. */
export function peopleApi(send: Send) {
  return {
    updateMe: (change: ProfileChange) => send<User>('/api/v1/me', { method: 'PATCH', body: change }),
    find: (q: string, signal?: AbortSignal) =>
      send<UserList>('/api/v1/users', { query: { q, limit: 8 }, signal }).then((page) => page.items),
    withEmail: (email: string, signal?: AbortSignal) =>
      send<UserList>('/api/v1/users', { query: { email }, signal }).then((page) => page.items),
    all: (signal?: AbortSignal) => everyPage<User>((cursor) =>
      send<UserList>('/api/v1/users', { query: { cursor, limit: 100 }, signal })),
    deactivate: (id: string) => send<void>(`${at(id)}/deactivate`, { method: 'POST' }),
    reactivate: (id: string) => send<void>(`${at(id)}/reactivate`, { method: 'POST' }),
    remove: (id: string) => send<void>(at(id), { method: 'DELETE' }),
    /** Those that are open; their codes were told once, to whoever made them. */
    invitations: (signal?: AbortSignal) => everyPage<Invitation>((cursor) =>
      send<InvitationList>('/api/v1/invitations', { query: { cursor, limit: 100 }, signal })),
    /** Replaces an open invitation of the same address. */
    invite: (email: string) => send<InvitationWithCode>('/api/v1/invitations', { method: 'POST', body: { email } }),
    uninvite: (id: string) => send<void>(`/api/v1/invitations/${encodeURIComponent(id)}`, { method: 'DELETE' }),
  }
}

/** The workspace of this host; throws 404 workspace-not-found when there is none. Needs no one signed in. */
export const readWorkspace = (send: Send) => send<Workspace>('/api/v1/workspace')
