import js from '@eslint/js'
import vue from 'eslint-plugin-vue'
import ts from 'typescript-eslint'

export default ts.config(
  { ignores: ['dist', 'screenshots', 'src/api/gen'] },
  js.configs.recommended,
  ts.configs.recommended,
  vue.configs['flat/essential'],
  {
    languageOptions: { parserOptions: { parser: ts.parser } },
    rules: {
      // TypeScript knows what exists.
      'no-undef': 'off',
      // Everything goes through the sanitiser and is inserted as nodes.
      'vue/no-v-html': 'error',
      // The policy refuses style attributes from HTML strings, and static ones may end up in such.
      'vue/no-static-inline-styles': 'error',
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'Insert nodes; Markdown goes through renderMarkdown.' },
        { property: 'outerHTML', message: 'Insert nodes; Markdown goes through renderMarkdown.' },
      ],
    },
  },
  { files: ['scripts/**', 'e2e/**', 'src/**/*.test.ts', 'src/features/markdown/MarkdownView.vue'], rules: { 'no-console': 'off', 'no-restricted-properties': 'off' } },
)
