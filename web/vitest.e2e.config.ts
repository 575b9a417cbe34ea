import { defineConfig } from 'vitest/config'

// Files run one after the other: each drives browsers that want a processor of their own.
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    globalSetup: ['e2e/stack.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
