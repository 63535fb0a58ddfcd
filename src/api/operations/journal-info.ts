import { z } from 'zod';
import { JournalReader } from '../../journal/index.ts';
import { defineOperation } from '../operation.ts';
import { journalInput, journalPlace } from './journal-place.ts';
import { count, lsn } from './shapes.ts';

export const journalInfo = defineOperation({
  name: 'journal info',
  permission: 'read',
  summary: 'Say what a journal holds: its id, segments, sizes, LSNs and times.',
  input: z.strictObject(journalInput),
  output: z.object({
    journalId: z.string(),
    formatVersion: count,
    location: z.string(),
    encrypted: z.boolean(),
    firstLsn: lsn,
    lastLsn: lsn,
    firstTime: z.string().optional(),
    lastTime: z.string().optional(),
    frames: count,
    storedBytes: count,
    rawBytes: count,
    segments: z
      .array(z.object({ name: z.string(), firstLsn: lsn, lastLsn: lsn, bytes: count, sealed: z.boolean() }))
      .readonly(),
  }),
  positional: ['dir'],
  placement: 'local-only',
  longRunning: false,
  withoutConfig: true,
  sentence: (input) => `looked at the journal ${input.dir}`,
  async handler(core, input) {
    const reader = await JournalReader.open(await journalPlace(core, input));
    try {
      const { firstTime, lastTime, ...info } = await reader.info();
      return {
        ...info,
        ...(firstTime === undefined ? {} : { firstTime: new Date(firstTime).toISOString() }),
        ...(lastTime === undefined ? {} : { lastTime: new Date(lastTime).toISOString() }),
      };
    } finally {
      await reader.close();
    }
  },
});
