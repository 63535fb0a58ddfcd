/**
 * Goal: generated mail is real mail, the same every time, and fast to make. Method: parse it with a parser that is
 * not ours; compare runs; measure.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import PostalMime from 'postal-mime';
import { encodeText } from './charsets.ts';
import { createMailGenerator, type GeneratedMessage } from './index.ts';
import { languages } from './languages.ts';
import { encodeHeader } from './transfer-encoding.ts';

describe('createMailGenerator', () => {
  it('gives the same messages for the same seed, others for another', () => {
    const [a, b, c] = [1, 1, 2].map((seed) => {
      const generator = createMailGenerator(seed);
      return Array.from({ length: 200 }, () => generator.message()).map(({ raw }) => raw.toString('latin1'));
    });
    assert.deepEqual(a, b);
    assert.notDeepEqual(a, c);
    assert.equal(new Set(a).size, 200);
  });

  it('gives mail that a parser reads as it was meant', async () => {
    const generator = createMailGenerator('parse');
    const seen = { languages: new Set<string>(), attachments: 0, html: 0, answers: 0 };
    for (let at = 0; at < 400; at += 1) {
      const message = generator.message();
      const parsed = await PostalMime.parse(message.raw);
      assert.equal(parsed.subject, message.subject);
      assert.equal(parsed.from?.address, message.from);
      assert.equal(parsed.messageId, message.messageId);
      assert.equal(Date.parse(parsed.date ?? ''), message.date.getTime());
      assert.ok((parsed.text ?? '').length > 20);
      assert.doesNotMatch(parsed.text ?? '', /\ufffd/, `${message.language} ${message.subject}`);
      seen.languages.add(message.language);
      seen.attachments += parsed.attachments.length;
      seen.html += parsed.html ? 1 : 0;
      seen.answers += parsed.inReplyTo ? 1 : 0;
    }
    assert.equal(seen.languages.size, 8);
    assert.ok(seen.attachments > 50 && seen.html > 100 && seen.answers > 100, JSON.stringify(seen));
  });

  it('ends every line with CRLF and keeps lines under 998 bytes', () => {
    const generator = createMailGenerator('lines');
    for (let at = 0; at < 300; at += 1) {
      const text = generator.message().raw.toString('latin1');
      assert.doesNotMatch(text, /(?<!\r)\n|\r(?!\n)/);
      assert.ok(text.endsWith('\r\n'));
      assert.ok(text.split('\r\n').every((line) => line.length <= 998));
    }
  });

  it('meets the wanted size', () => {
    const generator = createMailGenerator('sizes');
    for (const approxBytes of [2_000, 4_000, 36_000, 250_000, 5_000_000]) {
      const sizes = Array.from({ length: 40 }, () => generator.message({ approxBytes }).raw.length);
      const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
      assert.ok(Math.abs(mean - approxBytes) < approxBytes * 0.12, `${approxBytes}: ${mean}`);
    }
  });

  it('is 36 KB on average when no size is asked for', () => {
    const generator = createMailGenerator('average');
    let bytes = 0;
    for (let at = 0; at < 5_000; at += 1) bytes += generator.message().raw.length;
    assert.ok(Math.abs(bytes / 5_000 - 36_000) < 5_000, String(bytes / 5_000));
  });

  it('writes in the language, at the time and to whom it is told', async () => {
    const generator = createMailGenerator('told');
    const date = new Date('2025-07-01T08:52:37Z');
    const message = generator.message({ language: 'ja', date, to: 'alice@example.test' });
    const parsed = await PostalMime.parse(message.raw);
    assert.equal(message.language, 'ja');
    assert.equal(message.date.getTime(), date.getTime());
    assert.equal(parsed.to?.[0]?.address, 'alice@example.test');
    assert.throws(() => generator.message({ language: 'xx' }), /no language xx; there are en/);
  });

  it('plans mailboxes that take every message', () => {
    const generator = createMailGenerator('plan');
    for (const n of [0, 7, 100, 12_345]) {
      const plan = generator.mailboxPlan(n);
      assert.equal(
        plan.reduce((sum, { count }) => sum + count, 0),
        n,
      );
      assert.equal(new Set(plan.map(({ name }) => name)).size, plan.length);
      assert.ok(plan.some(({ specialUse }) => specialUse === '\\Sent'));
    }
    const flags = new Set(Array.from({ length: 500 }, () => generator.flags('INBOX')).flat());
    assert.ok(flags.has('\\Seen') && flags.has('\\Flagged') && flags.has('$Forwarded'));
  });

  it('makes thousands of small messages or many megabytes of large ones in a second of processor time', () => {
    const generator = createMailGenerator('speed');
    generator.message({ approxBytes: 100_000 });
    const rate = (count: number, approxBytes: number, of: (message: GeneratedMessage) => number) => {
      const start = process.cpuUsage();
      let sum = 0;
      for (let at = 0; at < count; at += 1) sum += of(generator.message({ approxBytes }));
      const { user, system } = process.cpuUsage(start);
      return (sum * 1e6) / (user + system);
    };
    const small = rate(10_000, 2_000, () => 1);
    const large = rate(100, 1_000_000, ({ raw }) => raw.length / 1e6);
    assert.ok(small > 4_000, `${small} messages/s`);
    assert.ok(large > 60, `${large} MB/s`);
  });
});

describe('the texts', () => {
  for (const language of languages) {
    it(`in ${language.code} can be written in every character set it is sent in`, () => {
      const texts = [
        ...language.names.map(([display]) => display),
        ...language.subjects,
        ...language.greetings,
        ...language.sentences,
        ...language.closings,
        ...language.days,
      ];
      for (const { charset } of language.encodings) {
        for (const text of texts) {
          assert.equal(new TextDecoder(charset).decode(encodeText(text, charset)), text, charset);
        }
      }
    });
  }
});

describe('encodeText', () => {
  it('writes what the runtime reads', () => {
    const texts = {
      'koi8-r': 'Счёт 5',
      'windows-1251': 'Счёт № 5',
      gb2312: '请确认订单 12',
      'iso-2022-jp': '会議 ABC の件',
      'iso-8859-2': 'Źródło',
      'iso-8859-1': 'Größe',
    } as const;
    for (const [charset, text] of Object.entries(texts)) {
      const bytes = encodeText(text, charset as keyof typeof texts);
      assert.equal(new TextDecoder(charset).decode(bytes), text);
    }
    assert.equal(encodeText('€ü', 'us-ascii').toString(), '??');
  });
});

describe('encodeHeader', () => {
  it('cuts long text into words of at most 75 characters', () => {
    const words = encodeHeader(
      'Übergabe der Schlüssel für die Gebäude am Südfriedhof und größere Umbauten',
      'utf-8',
    );
    for (const word of words.split('\r\n ')) assert.ok(word.length <= 75, word);
    assert.equal(encodeHeader('plain', 'utf-8'), 'plain');
  });
});
