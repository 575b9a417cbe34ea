// Lets the app start without a network. It holds no data and decides nothing while there is a network: pages always come
// from the server, the copy of the last one is used only when the server cannot be reached. Files under /assets/ are named
// by their content, so a kept one is never the wrong one.
const name = 'nw-shell-1'
const limit = 150

self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(clean()))
self.addEventListener('fetch', (event) => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method !== 'GET' || origin !== location.origin || pathname.startsWith('/api/')) return
  if (request.mode === 'navigate') event.respondWith(page(request))
  else if (pathname.startsWith('/assets/')) event.respondWith(asset(request))
  else if (pathname === '/icon.svg') event.respondWith(page(request, '/icon.svg'))
})

async function clean() {
  for (const other of await caches.keys()) if (other !== name) await caches.delete(other)
  await self.clients.claim()
}

/** From the server; without one, what it said last. */
async function page(request, key = '/') {
  const cache = await caches.open(name)
  try {
    const answer = await fetch(request)
    if (answer.ok && !answer.redirected) await cache.put(key, answer.clone())
    return answer
  } catch (err) {
    const kept = await cache.match(key)
    if (kept) return kept
    throw err
  }
}

async function asset(request) {
  const cache = await caches.open(name)
  const kept = await cache.match(request)
  if (kept) return kept
  const answer = await fetch(request)
  if (answer.ok) {
    await cache.put(request, answer.clone())
    const all = await cache.keys()
    for (const old of all.slice(0, Math.max(0, all.length - limit))) await cache.delete(old)
  }
  return answer
}
