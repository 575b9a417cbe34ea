/** The nonce of this page's content security policy, which the gateway writes into the page; empty in development. */
export function cspNonce(): string {
  const value = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? ''
  return value.startsWith('__') ? '' : value
}
