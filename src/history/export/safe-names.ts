/**
 * Mailbox names as file names. Reversible: what is not safe becomes `%` and two hexadecimal digits per UTF-8 byte, `%` itself
 * included; an empty name is `%`. Only a name too long for a file system is cut, and then told apart by a piece of its hash.
 */
import { createHash } from 'node:crypto';

const nameBytesMax = 200;

/** One level of a mailbox name as one path component; `alsoUnsafe` are further characters to encode. */
export function safeName(name: string, alsoUnsafe = ''): string {
  if (name === '') return '%';
  let safe = '';
  for (const char of name.toWellFormed()) {
    const code = char.codePointAt(0) as number;
    const unsafe = code < 0x20 || code === 0x7f || '%/\\:*?"<>|'.includes(char) || alsoUnsafe.includes(char);
    safe += unsafe ? encode(char) : char;
  }
  // `.`, `..` and hidden files; names that other systems would trim.
  if (safe.startsWith('.')) safe = encode('.') + safe.slice(1);
  if (/[. ]$/.test(safe)) safe = safe.slice(0, -1) + encode(safe.slice(-1));
  if (Buffer.byteLength(safe) <= nameBytesMax) return safe;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  let cut = safe.slice(0, nameBytesMax);
  while (Buffer.byteLength(cut) > nameBytesMax - 20) cut = cut.slice(0, -1);
  return `${cut.replace(/%.?$/, '').toWellFormed()}%~${digest}`;
}

function encode(char: string): string {
  return [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

/**
 * Gives every mailbox its path components. Siblings whose names differ in letter case alone are kept apart where the file
 * system would not: the later one has letters encoded.
 */
export class SafePaths {
  readonly #byPath = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #safe: (level: string) => string;

  constructor(safe: (level: string) => string) {
    this.#safe = safe;
  }

  /** Components for a name's levels. The same levels always give the same. */
  components(levels: readonly string[]): string[] {
    const components: string[] = [];
    for (let depth = 1; depth <= levels.length; depth += 1) {
      const key = JSON.stringify(levels.slice(0, depth));
      let component = this.#byPath.get(key);
      if (component === undefined) {
        component = this.#untaken(JSON.stringify(components), this.#safe(levels[depth - 1] as string));
        this.#byPath.set(key, component);
      }
      components.push(component);
    }
    return components;
  }

  #untaken(parent: string, wanted: string): string {
    const taken = (name: string) => this.#taken.has(`${parent}${name.toLowerCase()}`);
    let component = wanted;
    if (taken(component)) component = component.replace(/(?<!%.?)\p{Lu}/gu, encode);
    // No capitals, or the sibling was written so: letters are encoded from the left until it is free.
    for (let at = 0; taken(component) && at < component.length; at += 1) {
      const char = component[at] as string;
      if (char === '%') at += 2;
      else if (/[a-z]/.test(char))
        component = component.slice(0, at) + encode(char) + component.slice(at + 1);
    }
    this.#taken.add(`${parent}${component.toLowerCase()}`);
    return component;
  }
}
