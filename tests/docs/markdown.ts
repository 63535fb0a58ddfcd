/** What the tests of the documentation read of a page: fenced blocks, the commands in them, headings and links. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

export interface Block {
  /** First word after the fence: `console`. */
  readonly language: string;
  /** From `file=PATH` after the language: the reader is to write the block into this file. */
  readonly file: string | undefined;
  /** From `shows=PATH`: the block is what this file holds by then. */
  readonly shows: string | undefined;
  readonly text: string;
  /** Line of the fence in the page, from 1. */
  readonly line: number;
}

/** One command that a page shows. */
export interface ShownCommand {
  readonly command: string;
  /** Lines that the page shows below it; none = the page says nothing about the output. */
  readonly output: readonly string[];
  /** Typed by root (`#` in place of `$`). */
  readonly asRoot: boolean;
  readonly line: number;
}

export interface Page {
  /** From the root of the checkout. */
  readonly path: string;
  readonly blocks: readonly Block[];
  /** Ids of the headings, as code hosts make them. */
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly { readonly target: string; readonly line: number }[];
}

/** Every page of the checkout that people read. */
export function pagePaths(): string[] {
  return globSync(['*.md', 'docs/**/*.md', 'changes/*.md'], { cwd: root }).sort();
}

export function readPage(path: string): Page {
  const lines = readFileSync(join(root, path), 'utf8').split('\n');
  const blocks: Block[] = [];
  const anchors = new Set<string>();
  const links: { target: string; line: number }[] = [];
  let open: { fence: string; info: string; line: number; text: string[] } | undefined;
  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    const fence = /^(`{3,})(.*)$/.exec(text);
    if (open) {
      if (fence?.[1] === open.fence) {
        blocks.push(blockOf(open.info, open.text, open.line));
        open = undefined;
      } else {
        open.text.push(text);
      }
      continue;
    }
    if (fence) {
      open = { fence: fence[1] as string, info: fence[2] as string, line, text: [] };
      continue;
    }
    const heading = /^#{1,6} (.+)$/.exec(text)?.[1];
    if (heading !== undefined) anchors.add(unusedAnchor(heading, anchors));
    for (const [, target] of text.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)) {
      links.push({ target: target as string, line });
    }
  }
  if (open) throw new Error(`${path}:${open.line}: the block does not end`);
  return { path, blocks, anchors, links };
}

/** The commands of a `console` block (after `$` or `#`, with what they print) or of a `sh` block (one per line). */
export function commandsOf(block: Block): ShownCommand[] {
  const commands: { command: string; output: string[]; asRoot: boolean; line: number }[] = [];
  const lines = block.text.split('\n');
  for (let index = 0; index < lines.length; index += 1) {
    const text = lines[index] as string;
    const line = block.line + 1 + index;
    const prompt = block.language === 'console' ? /^([$#]) (.*)$/.exec(text) : undefined;
    const typed = prompt?.[2] ?? (block.language === 'sh' && /^[^#\s]/.test(text) ? text : undefined);
    if (typed === undefined) {
      if (block.language === 'console') commands.at(-1)?.output.push(text);
      continue;
    }
    let command = block.language === 'sh' ? typed.replace(/\s{2,}# .*$/, '') : typed;
    while (command.endsWith('\\')) {
      index += 1;
      command = `${command.slice(0, -1)}${lines[index]?.trim()}`;
    }
    commands.push({ command, output: [], asRoot: prompt?.[1] === '#', line });
  }
  return commands;
}

function blockOf(info: string, text: readonly string[], line: number): Block {
  const [language = '', ...attributes] = info.trim().split(/\s+/);
  const attribute = (name: string) =>
    attributes.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
  return { language, file: attribute('file'), shows: attribute('shows'), text: text.join('\n'), line };
}

function unusedAnchor(heading: string, taken: ReadonlySet<string>): string {
  const anchor = heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
  if (!taken.has(anchor)) return anchor;
  for (let count = 1; ; count += 1) if (!taken.has(`${anchor}-${count}`)) return `${anchor}-${count}`;
}
