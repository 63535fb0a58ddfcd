/** What people type, as an FTS5 query that always parses (https://sqlite.org/fts5.html section 3). */
import { historyErrors } from './errors.ts';

const columns: Record<string, string> = { subject: 'subject', from: 'sender', to: 'recipients' };

/**
 * Words are all required; `"a phrase"` stands together; `word*` is a beginning; `subject:`, `from:`, `to:` before a word or
 * phrase look in that field only. Everything else is text, never syntax. Error: HISTORY_SEARCH_EMPTY.
 */
export function searchQuery(typed: string): string {
  const terms: string[] = [];
  for (const found of typed.slice(0, 2000).matchAll(/(?:(subject|from|to):)?(?:"([^"]*)"?|([^\s"]+))/gi)) {
    const [, field, phrase, word] = found;
    const text = segment(phrase ?? word ?? '').trim();
    if (!/[\p{L}\p{N}\p{Co}]/u.test(text)) continue;
    const prefix = phrase === undefined && /[\p{L}\p{N}]\*$/u.test(word ?? '') ? '*' : '';
    const column = field === undefined ? '' : `${columns[field.toLowerCase()]} : `;
    terms.push(`${column}"${text.replaceAll('"', ' ').replaceAll('\0', ' ')}"${prefix}`);
  }
  if (terms.length === 0) {
    throw historyErrors.make('HISTORY_SEARCH_EMPTY', `nothing to search for in ${JSON.stringify(typed)}`);
  }
  return terms.join(' AND ');
}

/**
 * Parts scripts that are written without blanks into single characters, in the index and in queries alike, so that any piece
 * of such a text is found as a phrase.
 */
export function segment(text: string): string {
  return text.replace(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/gu, ' $& ');
}
