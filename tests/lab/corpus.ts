/**
 * A corpus of real and of deliberately broken mail, which is not in the checkout: `UNDERSTUDY_CORPUS` names its folder. Tests that use it skip,
 * saying so, where it is absent. In it, tables begin with a line of headings and have tags, with blanks between, in their last column:
 *
 *   nasty/MANIFEST.tsv                file, repo, orig_path, bytes, sha256, tags; `file` is below nasty/
 *   bulk/SET.tar.zst                  messages, one file each
 *   bulk/SET.MANIFEST.tsv.zst         file, origin, bytes, sha256, tags; `file` is a name in the archive
 */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';

const root = process.env['UNDERSTUDY_CORPUS'] ?? resolve(import.meta.dirname, '../../../shared/corpus');

/** The reason to skip when the corpus is absent, else false: made for the `skip` option of a test. */
export const corpusMissing: string | false = existsSync(root)
  ? false
  : 'no corpus of mail is there (UNDERSTUDY_CORPUS)';

export interface CorpusMessage {
  /** Path inside the corpus. */
  readonly name: string;
  /** The message as it goes into APPEND: every LF that has no CR before it became CR LF, a CR alone stays. */
  readonly raw: Buffer;
  /** Features noted by the corpus: `nul=`, `8bit-header`, `defect:…`. */
  readonly tags: readonly string[];
}

/** The `nasty` set: 600 messages that break parsers, about 15 MB, in the order of its manifest. */
export function* nastyMessages(): Generator<CorpusMessage> {
  for (const { name, tags } of manifest(readFileSync(resolve(root, 'nasty/MANIFEST.tsv'), 'utf8'), 5)) {
    yield { name: `nasty/${name}`, raw: withCrlf(readFileSync(resolve(root, 'nasty', name))), tags };
  }
}

export type BulkSet = 'linux-mips-list' | 'spamassassin';

/** A set of real mail (18,712 messages with 109 MB; 6,294 with 38 MB), read one by one; at most `limit` of them. */
export async function* bulkMessages(
  set: BulkSet,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<CorpusMessage> {
  const packedManifest = readFileSync(resolve(root, 'bulk', `${set}.MANIFEST.tsv.zst`));
  const tagsOf = new Map(
    [...manifest(zstdDecompressSync(packedManifest, longWindow).toString('utf8'), 4)].map((row) => [
      row.name,
      row.tags,
    ]),
  );
  let count = 0;
  for await (const { name, content } of tarEntries(resolve(root, 'bulk', `${set}.tar.zst`))) {
    if (count >= limit) return;
    count += 1;
    yield { name: `bulk/${name}`, raw: withCrlf(content), tags: tagsOf.get(name) ?? [] };
  }
}

const longWindow = { params: { [constants.ZSTD_d_windowLogMax]: 27 } };

function* manifest(text: string, tagsColumn: number): Generator<{ name: string; tags: string[] }> {
  for (const line of text.trimEnd().split('\n').slice(1)) {
    const columns = line.split('\t');
    yield { name: columns[0] ?? '', tags: (columns[tagsColumn] ?? '').split(' ').filter(Boolean) };
  }
}

/** Every LF that has no CR before it becomes CR LF; a CR alone stays. */
export function withCrlf(content: Buffer): Buffer {
  return Buffer.from(content.toString('latin1').replace(/(?<!\r)\n/g, '\r\n'), 'latin1');
}

/** Regular files of a zstd-compressed tar archive (POSIX ustar, with GNU and pax long names). */
async function* tarEntries(file: string): AsyncGenerator<{ name: string; content: Buffer }> {
  const reader = blocks(createReadStream(file).pipe(createZstdDecompress(longWindow)));
  let longName: string | undefined;
  for (;;) {
    const header = await reader(512);
    if (header.length < 512 || header[0] === 0) return;
    const field = (from: number, length: number) =>
      header
        .toString('utf8', from, from + length)
        .split('\0', 1)[0]
        ?.trim() ?? '';
    const size = Number.parseInt(field(124, 12), 8);
    const content = (await reader(Math.ceil(size / 512) * 512)).subarray(0, size);
    const type = field(156, 1);
    if (type === 'L') longName = content.toString('utf8').replace(/\0.*$/s, '');
    else if (type === 'x') longName = /^\d+ path=(.*)$/m.exec(content.toString('utf8'))?.[1];
    else {
      const prefix = field(345, 155);
      const name = longName ?? (prefix ? `${prefix}/${field(0, 100)}` : field(0, 100));
      longName = undefined;
      if (type === '0' || type === '') yield { name, content };
    }
  }
}

/** Turns a stream into a function that gives the next `length` bytes (fewer only at its end). */
function blocks(stream: AsyncIterable<Buffer>): (length: number) => Promise<Buffer> {
  const source = stream[Symbol.asyncIterator]();
  let parts: Buffer[] = [];
  let held = 0;
  return async (length) => {
    while (held < length) {
      const next = await source.next();
      if (next.done) break;
      parts.push(next.value);
      held += next.value.length;
    }
    const all = Buffer.concat(parts);
    const taken = all.subarray(0, length);
    parts = [all.subarray(taken.length)];
    held = all.length - taken.length;
    return taken;
  };
}
