export interface Heading {
  level: number
  text: string
  /** Where it stands, counted from 0. */
  line: number
}

/** The headings of a Markdown text, without those inside code. */
export function outlineOf(body: string): Heading[] {
  const headings: Heading[] = []
  let fence = ''
  body.split('\n').forEach((line, index) => {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1]
    if (fence) {
      if (mark && mark.startsWith(fence) && line.trim() === mark) fence = ''
      return
    }
    if (mark) {
      fence = mark
      return
    }
    const heading = /^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$/.exec(line)
    if (heading?.[2]) headings.push({ level: heading[1]!.length, text: plain(heading[2]), line: index })
  })
  return headings
}

/** Without the marks of Markdown, for places that show one line of plain text. */
export function plain(text: string): string {
  return text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/(\*\*|__|~~|`)/g, '')
    .replace(/(^|\s)[*_](\S)/g, '$1$2')
    .replace(/(\S)[*_](?=\s|[.,;:!?]|$)/g, '$1')
    .trim()
}

/** A piece of Markdown as one line of plain text, for lists. */
export function oneLine(text: string): string {
  return plain(
    text
      .replace(/^ {0,3}(`{3,}|~{3,}).*$/gm, '')
      .replace(/^[ \t]*[|:-][ \t|:-]*$/gm, '') // the line below a table's head; a rule
      .replace(/^[ \t]*\|.*$/gm, (row) => row.replaceAll('|', ' '))
      .replace(/^\s*(#{1,6}|>|[-*+]|\d+[.)])\s+(\[[ xX]\]\s+)?/gm, '')
      .replace(/\s+/g, ' '),
  )
}

/** The first words of a note as a list shows them. */
export const excerptOf = (body: string, length = 200): string => oneLine(body.slice(0, length * 8)).slice(0, length)
