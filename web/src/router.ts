import { watch, type App } from 'vue'
import { createRouter, createWebHistory, type Router, type RouteRecordRaw } from 'vue-router'
import { useSession } from './features/session/store'

const notes = () => import('./features/notes/NotesPage.vue')

const inside: RouteRecordRaw[] = [
  { path: '', name: 'all', component: notes, meta: { view: 'all' } },
  { path: 'mine', name: 'mine', component: notes, meta: { view: 'mine' } },
  { path: 'pinned', name: 'pinned', component: notes, meta: { view: 'pinned' } },
  { path: 'shared', name: 'shared', component: notes, meta: { view: 'shared' } },
  { path: 'archive', name: 'archived', component: notes, meta: { view: 'archived' } },
  { path: 'trash/:id?', name: 'trash', component: notes, meta: { view: 'trash' } },
  { path: 'tags/:tag', name: 'tag', component: notes, meta: { view: 'all' } },
  { path: 'n/:id', name: 'note', component: notes },
  { path: 'settings', name: 'settings', component: () => import('./features/settings/SettingsPage.vue') },
  { path: 'people', name: 'members', component: () => import('./features/members/MembersPage.vue') },
]

const routes: RouteRecordRaw[] = [
  { path: '/sign-in', name: 'sign-in', component: () => import('./features/session/SignInPage.vue'), meta: { anonymous: true } },
  { path: '/sign-up', name: 'sign-up', component: () => import('./features/session/SignInPage.vue'), meta: { anonymous: true } },
  { path: '/', component: () => import('./features/shell/AppShell.vue'), children: inside },
  { path: '/:path(.*)*', name: 'missing', component: () => import('./features/shell/MissingPage.vue'), meta: { open: true } },
]

/** Routes, and who may see them: pages for people who are signed in lead the others to signing in and back. */
export function createAppRouter(app: App): Router {
  const router = createRouter({ history: createWebHistory(), routes })
  app.runWithContext(() => {
    const session = useSession()
    const settled = () =>
      new Promise<void>((resolve) => {
        if (session.phase !== 'starting' && session.phase !== 'unreachable') return resolve()
        const stop = watch(
          () => session.phase,
          (phase) => {
            if (phase !== 'anonymous' && phase !== 'signed-in') return
            stop()
            resolve()
          },
        )
      })
    router.beforeEach(async (to) => {
      await settled()
      if (to.meta.open) return true
      if (session.user) return to.meta.anonymous ? destination(to.query.to) : true
      return to.meta.anonymous ? true : { name: 'sign-in', query: to.fullPath === '/' ? {} : { to: to.fullPath } }
    })
    watch(
      () => session.user?.id,
      (id) => {
        const here = router.currentRoute.value
        if (id && here.meta.anonymous) void router.replace(destination(here.query.to))
        else if (!id && here.matched.length && !here.meta.anonymous && !here.meta.open) {
          const back = session.reason === 'ended' && here.fullPath !== '/' ? { to: here.fullPath } : {}
          void router.replace({ name: 'sign-in', query: back })
        }
      },
    )
    void session.start()
  })
  return router
}

/** A place inside this app, wherever the address came from. */
export function destination(to: unknown): string {
  return typeof to === 'string' && /^\/(?![/\\])/.test(to) ? to : '/'
}
