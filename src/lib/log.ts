/**
 * Structured logs: JSON lines on stderr (stdout belongs to results). Context (site, server, account, plan)
 * rides on child loggers.
 */
import { pino } from 'pino';

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Log;
}

/** `level`: debug, info, warn, error or silent; `UNDERSTUDY_LOG` overrides it. Errors in `err` keep code and remedy. */
export function createLog(level = 'info'): Log {
  return pino(
    {
      level: process.env['UNDERSTUDY_LOG'] ?? level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};
