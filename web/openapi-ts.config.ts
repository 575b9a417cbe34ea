import { defineConfig } from '@hey-api/openapi-ts'

const from = (name: string) => ({
  input: `../services/api/openapi/${name}.yaml`,
  output: { path: `src/api/gen/${name}`, clean: true },
  plugins: ['@hey-api/typescript' as const],
})

export default defineConfig([from('user'), from('note')])
