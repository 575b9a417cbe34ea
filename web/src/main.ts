import './style.css'
import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { ApiError } from './api/problem'
import App from './App.vue'
import { createRuntime, runtimeKey } from './features/runtime'
import { i18n } from './i18n'
import { createAppRouter } from './router'

// The live socket keeps answers fresh; nothing is fetched again for its age alone.
const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Infinity,
      networkMode: 'always',
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      retry: mayPass,
      retryDelay: (count, err) => Math.max((err instanceof ApiError && err.retryAfter) || 0, Math.min(1_000 * 2 ** count, 30_000)),
    },
    mutations: { networkMode: 'always' },
  },
})

/** A server that is away, or a workspace that is suspended, is waited for elsewhere. One that asks to wait is believed, for longer than others. */
function mayPass(count: number, err: Error): boolean {
  if (!(err instanceof ApiError) || !err.temporary || err.status === 0 || err.code === 'workspace-suspended') return false
  return count < (err.code === 'requests-limit-reached' ? 10 : 2)
}

const app = createApp(App)
app.provide(runtimeKey, createRuntime())
app.use(createPinia())
app.use(VueQueryPlugin, { queryClient: client })
app.use(i18n)
app.use(createAppRouter(app))
app.mount('#app')

// Only an improvement: browsers that refuse it lose nothing but starting without a network.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  addEventListener('load', () => void navigator.serviceWorker.register('/sw.js').catch(() => undefined))
}
