import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../lib/index.ts';
import { Screen } from './screen.ts';

function screenOn(terminal: boolean, environment: NodeJS.ProcessEnv = {}) {
  const clock = new TestClock();
  const written: string[] = [];
  const output = { write: (text: string) => written.push(text), isTTY: terminal, columns: 40 };
  return { clock, screen: new Screen(output, clock, environment), text: () => written.join('') };
}

function tellAll(screen: Screen, clock: TestClock): void {
  clock.advance(1_500);
  screen.step('A step');
  screen.progress('half of it');
  screen.progress('too soon for another');
  screen.note('a subject with \x1b[2J in it');
  screen.command('understudy status');
  screen.printed('one\ntwo\n');
  screen.good('well');
  screen.bad('ill');
}

describe('the screen', () => {
  it('writes plain lines into a log', () => {
    const { clock, screen, text } = screenOn(false);
    tellAll(screen, clock);
    assert.equal(
      text(),
      `
[ 1.5 s] 1. A step
  half of it
  a subject with \\x1b[2J in it
  $ understudy status
  | one
  | two
  well
  ill
`,
    );
  });

  it('writes over its progress on a terminal, and colours', () => {
    const { clock, screen, text } = screenOn(true);
    tellAll(screen, clock);
    const erase = '\r\x1b[2K';
    assert.ok(text().includes(`${erase}  half of it${erase}  a subject`), text());
    assert.ok(text().includes('\x1b[32mwell\x1b[0m'), text());
  });

  it('has no colours with NO_COLOR', () => {
    const { clock, screen, text } = screenOn(true, { NO_COLOR: '1' });
    tellAll(screen, clock);
    assert.ok(!text().includes('\x1b[3'), text());
  });
});
