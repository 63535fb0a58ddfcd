/**
 * Keeps one standby warm for as long as the service runs.
 *
 *   opening ──reader open, engine started──► keeping ──engine broken (the vault cannot be read)──► waiting
 *      │ error                                                                                        │
 *      └─────────────────────────────────────► waiting ──after a pause that grows to a minute──► opening
 *   any ──stop──► stopped
 *
 * A standby that does not answer is the engine's own affair: it goes on by itself.
 */
import type { VaultReader } from '../../catalog/index.ts';
import { checkSecrets, serverNamed } from '../../config/index.ts';
import type { UnderstudyError } from '../../lib/index.ts';
import type { WarmEngine } from '../../workloads/mail/warm/index.ts';
import type { WarmLive, WarmPair } from '../core.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import { type CoreParts, vaultDirOf, warmMemoryFile } from '../in-process.ts';
import type { WarmThreadMetrics } from '../threads.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;

interface Keeping {
  readonly reader: VaultReader;
  readonly engine: WarmEngine;
}

export class WarmKeeper {
  readonly #parts: CoreParts;
  readonly #pair: WarmPair;
  readonly #stopping = new AbortController();
  readonly #errors: Record<string, number> = {};
  #keeping: Keeping | undefined;
  #problem: UnderstudyError | undefined;
  #restarts = 0;
  readonly #loop: Promise<void>;

  /** Begins; a failure is waited out, for the journal of a server that was never followed comes later. @throws CONFIG_… */
  constructor(parts: CoreParts, pair: WarmPair) {
    this.#parts = parts;
    this.#pair = pair;
    checkSecrets(serverNamed(parts.config, pair.target));
    this.#loop = this.#keep();
  }

  /** The engine that keeps it now. @throws API_STANDBY_NOT_WARM */
  engine(): WarmEngine {
    if (this.#keeping !== undefined) return this.#keeping.engine;
    const why = this.#problem ? `${this.#problem.code}: ${this.#problem.message}` : 'it is starting';
    throw apiErrors.make(
      'API_STANDBY_NOT_WARM',
      `the standby of ${this.#pair.pair} is not kept warm now: ${why}`,
      this.#problem === undefined ? {} : { remedy: this.#problem.remedy, cause: this.#problem },
    );
  }

  status(): WarmLive {
    if (this.#keeping !== undefined) return this.#keeping.engine.status();
    const { code, message, remedy } = this.#problem ?? starting(this.#pair.pair);
    return { ...this.#pair, phase: 'down', problem: { code, message, remedy } };
  }

  metrics(): WarmThreadMetrics {
    const engine = this.#keeping?.engine;
    return {
      restarts: this.#restarts,
      errorsByCode: this.#errors,
      ...(engine === undefined ? {} : { status: engine.status(), engine: engine.metrics() }),
    };
  }

  /** Lets what is being applied end; may be called twice. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #keep(): Promise<void> {
    const { clock } = this.#parts.adapters;
    const { signal } = this.#stopping;
    const stopped = new Promise<'stopped'>((resolve) =>
      signal.addEventListener('abort', () => resolve('stopped'), { once: true }),
    );
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        this.#keeping = await this.#open();
        this.#problem = undefined;
        const openedMs = clock.monotonicMs();
        const ended = await Promise.race([this.#keeping.engine.broken, stopped]);
        if (clock.monotonicMs() - openedMs > LONGEST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS;
        if (ended !== 'stopped') this.#note(ended);
      } catch (error) {
        this.#note(error);
      }
      await this.#close();
      if (signal.aborted) return;
      this.#restarts += 1;
      await Promise.race([clock.sleep(pauseMs, signal).catch(() => {}), stopped]);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  async #open(): Promise<Keeping> {
    const { config, adapters, log } = this.#parts;
    const { pair, source, target } = this.#pair;
    const { startWarm, bringUp } = await adapters.mail();
    const pairLog = log.child({ pair, server: target });
    const reader = await adapters.openReader({ config, dir: vaultDirOf(config, source), log: pairLog });
    try {
      const engine = startWarm({
        pair,
        source,
        reader,
        target,
        config: serverNamed(config, target),
        clock: adapters.clock,
        log: pairLog,
        memoryFile: warmMemoryFile(config, pair, source),
        burst: serverNamed(config, source).shadow.burst,
        bringUp,
      });
      return { reader, engine };
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  async #close(): Promise<void> {
    const keeping = this.#keeping;
    this.#keeping = undefined;
    if (keeping === undefined) return;
    try {
      await keeping.engine.stop();
    } catch (error) {
      this.#note(error);
    }
    try {
      await keeping.reader.close();
    } catch (error) {
      this.#note(error);
    }
  }

  #note(error: unknown): void {
    const problem = asOperatingError(error);
    this.#problem = problem;
    this.#errors[problem.code] = (this.#errors[problem.code] ?? 0) + 1;
    const { code, remedy, message } = problem;
    // Before the first pass of the live server there is nothing to follow.
    const level = code === 'CATALOG_VAULT_MISSING' || code === 'CATALOG_MISSING' ? 'info' : 'error';
    this.#parts.log[level](
      { pair: this.#pair.pair, code, remedy },
      `the standby is not kept warm: ${message}`,
    );
  }
}

function starting(pair: string): UnderstudyError {
  return apiErrors.make(
    'API_STANDBY_NOT_WARM',
    `the standby of ${pair} is not kept warm now: it is starting`,
  );
}
