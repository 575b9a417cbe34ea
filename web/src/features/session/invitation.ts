/** The code in the fragment of an invitation's link, `#invitation=CODE`. Browsers send a fragment to nobody. */
export const invitationIn = (hash: string) => new URLSearchParams(hash.replace(/^#/, '')).get('invitation') ?? ''

/** The link to hand over. */
export const invitationLink = (code: string, origin: string) => `${new URL('/sign-up', origin).href}#invitation=${encodeURIComponent(code)}`
