import { z } from 'zod';
import { verifyVault } from '../../catalog/index.ts';
import { defineOperation } from '../operation.ts';
import { journalInput, journalPlace } from './journal-place.ts';
import { count, lsn } from './shapes.ts';

export const journalVerify = defineOperation({
  name: 'journal verify',
  permission: 'read',
  summary:
    'Read a whole journal and check every hash in it; name each place where something is missing or altered.',
  input: z.strictObject(journalInput),
  output: z.object({
    location: z.string(),
    journalId: z.string(),
    ok: z.boolean(),
    faults: z
      .array(
        z.object({
          code: z.string(),
          segment: z.string(),
          offset: count,
          lsn: lsn.optional(),
          what: z.string(),
        }),
      )
      .readonly(),
    /** Bytes after the last commit, which the next writer cuts off: a crash, not a fault. */
    torn: z.object({ segment: z.string(), offset: count, bytes: count }).optional(),
    segments: count,
    frames: count,
    records: count,
    commits: count,
    bodies: count,
    storedBytes: count,
    rawBytes: count,
    bodyBytes: count,
    committedLsn: lsn,
    committedTime: z.string().optional(),
  }),
  positional: ['dir'],
  placement: 'local-only',
  longRunning: true,
  withoutConfig: true,
  sentence: (input) => `verified the journal ${input.dir}`,
  outcome: (output) => (output.ok ? 'done' : 'failed'),
  async handler(core, input, context) {
    const { storage, key } = await journalPlace(core, input);
    const place = { journal: storage, log: core.log, ...(key ? { key } : {}) };
    const {
      committedTime,
      end: _,
      ...report
    } = await verifyVault(place, (progress) => {
      context.signal.throwIfAborted();
      context.progress({ phase: 'verify', bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal });
    });
    return {
      ...report,
      ...(committedTime > 0 ? { committedTime: new Date(committedTime).toISOString() } : {}),
    };
  },
});
