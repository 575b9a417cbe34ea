// Fails when the JavaScript that every first visit loads is over its budget: the entry and what it imports statically,
// and the pages behind sign-in with theirs. The editor and the Markdown renderer come later, when a note is opened.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const budget = 180_000
const dist = new URL('../dist/', import.meta.url)
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'))

const first = ['index.html', 'src/features/shell/AppShell.vue', 'src/features/notes/NotesPage.vue']
const seen = new Set()
for (const name of first) collect(name)

function collect(name) {
  const chunk = manifest[name]
  if (!chunk) throw new Error(`no chunk for ${name}`)
  if (seen.has(chunk.file)) return
  seen.add(chunk.file)
  for (const imported of chunk.imports ?? []) collect(imported)
}

const sizes = [...seen].map((file) => [file, gzipSync(readFileSync(new URL(file, dist))).length])
const total = sizes.reduce((sum, [, size]) => sum + size, 0)
for (const [file, size] of sizes.sort((a, b) => b[1] - a[1])) console.log(`${String(size).padStart(8)}  ${file}`)
console.log(`${String(total).padStart(8)}  first load, gzip (budget ${budget})`)
if (sizes.some(([file]) => /codemirror|markdown-it/i.test(file))) throw new Error('the editor is in the first load')
if (total > budget) {
  console.error(`the first load is ${total - budget} bytes over its budget`)
  process.exit(1)
}
