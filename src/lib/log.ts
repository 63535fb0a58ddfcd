/**
 * Structured logs: JSON lines on stderr (stdout belongs to results). Context (site, server, account, plan)
 * rides on child loggers.
 */
import { createRequire } from 'node:module';
import type { Logger, pino as Pino } from 'pino';
import { UnderstudyError } from './errors.ts';

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Log;
}

/** What is kept of lines that could not be written, until they can be; more of them are dropped. */
const UNWRITTEN_BYTES_MOST = 1024 * 1024;

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
type Level = Exclude<(typeof LEVELS)[number], 'silent'>;

/**
 * `level`: debug, info, warn, error or silent; `UNDERSTUDY_LOG` overrides it. Errors in `err` keep code and remedy. Writing never
 * throws: a line that stderr does not take is lost, or comes later.
 * The library behind it is loaded with the first line that is written: most commands write none.
 */
export function createLog(level = 'info'): Log {
  const least = process.env['UNDERSTUDY_LOG'] ?? level;
  let root: Logger | undefined;
  return logOf(least, () => {
    root ??= openLog(least);
    return root;
  });
}

function logOf(least: string, open: () => Logger): Log {
  const write = (level: Level) => (fields: object, message: string) => {
    if (LEVELS.indexOf(level) >= LEVELS.indexOf(least as Level)) open()[level](fields, message);
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => {
      let child: Logger | undefined;
      return logOf(least, () => {
        child ??= open().child(fields);
        return child;
      });
    },
  };
}

function openLog(level: string): Logger {
  const { pino } = createRequire(import.meta.url)('pino') as { pino: typeof Pino };
  const destination = pino.destination({ dest: 2, sync: true, maxLength: UNWRITTEN_BYTES_MOST });
  // On a full disk a line is lost; whoever wanted to write it has clients to serve, and goes on.
  destination.on('error', () => {});
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // An operating error is told by its code and values; a stack is for defects.
      serializers: {
        err: (error: unknown) =>
          error instanceof UnderstudyError ? error.toJSON() : pino.stdSerializers.err(error as Error),
      },
    },
    destination,
  );
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};
