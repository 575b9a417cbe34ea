// Starts the whole program on a free port and fresh data, or uses the one at BASE_URL with OWNER_EMAIL and OWNER_PASSWORD.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'

export interface Stack {
  url: string
  owner: { email: string; password: string }
}

declare module 'vitest' {
  export interface ProvidedContext {
    stack: Stack
  }
}

const root = resolve(import.meta.dirname, '../..')
const patience = 180_000

export default async function setup(project: TestProject) {
  const { BASE_URL, OWNER_EMAIL, OWNER_PASSWORD } = process.env
  // Vitest itself sets BASE_URL to a path.
  if (BASE_URL?.startsWith('http')) {
    if (!OWNER_EMAIL || !OWNER_PASSWORD) throw new Error('with BASE_URL, OWNER_EMAIL and OWNER_PASSWORD must say how the owner signs in')
    project.provide('stack', { url: BASE_URL, owner: { email: OWNER_EMAIL, password: OWNER_PASSWORD } })
    return
  }
  const data = await mkdtemp(join(tmpdir(), 'noteworks-e2e-'))
  const [command, ...args] = existsSync(join(root, 'bin/noteworks')) ? ['bin/noteworks'] : ['go', 'run', './services/allinone']
  const program = spawn(command!, [...args, '--port', '0', '--data', data], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    project.provide('stack', await welcome(program))
  } catch (err) {
    await stop(program, data)
    throw err
  }
  return () => stop(program, data)
}

/** Waits until the program says where it is and how to sign in. */
function welcome(program: ChildProcess): Promise<Stack> {
  return new Promise((done, fail) => {
    let said = ''
    const late = setTimeout(() => fail(new Error(`not started in ${patience} ms:\n${said}`)), patience)
    program.once('exit', (code) => fail(new Error(`ended with ${code} while starting:\n${said}`)))
    program.stderr!.on('data', (chunk) => (said += String(chunk)))
    program.stdout!.on('data', (chunk) => {
      said += String(chunk)
      const [, url, email, password] = /URL\s+(\S+)\s+E-mail\s+(\S+)\s+Password\s+(\S+)\n/.exec(said) ?? []
      if (!url || !email || !password) return
      clearTimeout(late)
      done({ url, owner: { email, password } })
    })
  })
}

async function stop(program: ChildProcess, data: string): Promise<void> {
  if (program.exitCode === null) {
    const gone = new Promise((done) => program.once('exit', done))
    program.kill('SIGINT')
    await gone
  }
  await rm(data, { recursive: true, force: true })
}
