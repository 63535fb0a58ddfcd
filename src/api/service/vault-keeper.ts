/**
 * Keeps one server's vault open and followed for as long as the service runs.
 *
 *   opening ──vault open, engine started──► following ──vault stopped, engine broken (disk)───► waiting
 *      │ error                                                                                    │
 *      └────────────────────────────────────► waiting ──after a pause that grows to a minute──► opening
 *   any ──stop──► stopped
 */
import type { Vault } from '../../catalog/index.ts';
import { checkSecrets, shadowedServerNamed } from '../../config/index.ts';
import type { UnderstudyError } from '../../lib/index.ts';
import type { MailDeps, ShadowEngine } from '../../workloads/mail/index.ts';
import type { MailWorkload } from '../adapters.ts';
import type { LiveStatus } from '../core.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import { type CoreParts, mailDeps, vaultDirOf } from '../in-process.ts';
import type { ThreadMetrics } from '../threads.ts';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

export interface Following {
  readonly vault: Vault;
  readonly deps: MailDeps;
  readonly engine: ShadowEngine;
  readonly mail: MailWorkload;
}

export class VaultKeeper {
  readonly #parts: CoreParts;
  readonly #server: string;
  readonly #stopping = new AbortController();
  readonly #errors: Record<string, number> = {};
  #following: Following | undefined;
  #problem: UnderstudyError | undefined;
  #restarts = 0;
  #loop: Promise<void> = Promise.resolve();

  private constructor(parts: CoreParts, server: string) {
    this.#parts = parts;
    this.#server = server;
  }

  /**
   * Opens the vault and begins to follow. Rejects when that fails for a reason that waiting does not cure (wrong
   * key, vault in use, a secret missing): at the start an operator is there to read it.
   */
  static async start(parts: CoreParts, server: string): Promise<VaultKeeper> {
    const keeper = new VaultKeeper(parts, server);
    try {
      keeper.#following = await keeper.#open();
    } catch (error) {
      const problem = keeper.#note(error);
      if (problem.kind === 'usage' || problem.kind === 'refused' || problem.retry === 'never') throw problem;
    }
    keeper.#loop = keeper.#keep();
    return keeper;
  }

  /** What is open now. @throws API_VAULT_UNAVAILABLE */
  following(): Following {
    if (this.#following !== undefined) return this.#following;
    const why =
      this.#problem === undefined ? 'it is starting' : `${this.#problem.code}: ${this.#problem.message}`;
    throw apiErrors.make('API_VAULT_UNAVAILABLE', `the vault of ${this.#server} is not open now: ${why}`, {
      ...(this.#problem === undefined ? {} : { remedy: this.#problem.remedy, cause: this.#problem }),
    });
  }

  status(): LiveStatus {
    if (this.#following !== undefined) return this.#following.engine.status();
    const { code, message, remedy } = this.#problem ?? asOperatingError(new Error('starting'));
    return { phase: 'down', problem: { code, message, remedy } };
  }

  metrics(): ThreadMetrics {
    const engine = this.#following?.engine.metrics();
    return {
      restarts: this.#restarts,
      errorsByCode: this.#errors,
      ...(engine === undefined ? {} : { engine }),
    };
  }

  /** Finishes commits under way and closes the vault; may be called twice. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #keep(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    const stopped = new Promise<'stopped'>((resolve) =>
      this.#stopping.signal.addEventListener('abort', () => resolve('stopped'), { once: true }),
    );
    while (!this.#stopping.signal.aborted) {
      if (this.#following !== undefined) {
        const { clock } = this.#parts.adapters;
        const openedMs = clock.monotonicMs();
        const { engine, vault } = this.#following;
        const ended = await Promise.race([engine.broken, vault.whenStopped, stopped]);
        // A vault on a full disk opens well and breaks at the first commit: that is the same trouble still, and each
        // try costs the live server the fetching of what cannot be stored.
        if (clock.monotonicMs() - openedMs > LONGEST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS;
        if (ended !== 'stopped') this.#note(ended);
        await this.#close();
      } else {
        await Promise.race([this.#parts.adapters.clock.sleep(pauseMs, this.#stopping.signal), stopped]).catch(
          ignoreAbort,
        );
        if (this.#stopping.signal.aborted) return;
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
        await this.#reopen();
      }
    }
    // Told to stop while it was opened again: nobody else closes it.
    await this.#close();
  }

  async #reopen(): Promise<void> {
    this.#restarts += 1;
    try {
      this.#following = await this.#open();
      this.#problem = undefined;
      this.#parts.log.info({ server: this.#server }, 'the vault is open again');
    } catch (error) {
      this.#note(error);
    }
  }

  async #open(): Promise<Following> {
    const { config, adapters, log } = this.#parts;
    checkSecrets(shadowedServerNamed(config, this.#server));
    const mail = await adapters.mail();
    const vault = await adapters.openVault({
      config,
      dir: vaultDirOf(config, this.#server),
      log: log.child({ server: this.#server }),
    });
    try {
      const deps = await mailDeps(this.#parts, this.#server, vault);
      return { vault, deps, mail, engine: mail.startShadow(deps) };
    } catch (error) {
      await vault.close();
      throw error;
    }
  }

  async #close(): Promise<void> {
    const following = this.#following;
    this.#following = undefined;
    if (following === undefined) return;
    try {
      await following.engine.stop();
    } catch (error) {
      this.#note(error);
    }
    try {
      await following.vault.close();
    } catch (error) {
      this.#note(error);
    }
  }

  #note(error: unknown): UnderstudyError {
    const problem = asOperatingError(error);
    this.#problem = problem;
    this.#errors[problem.code] = (this.#errors[problem.code] ?? 0) + 1;
    this.#parts.log.error(
      { server: this.#server, err: problem, code: problem.code, remedy: problem.remedy },
      `the vault is closed: ${problem.message}`,
    );
    return problem;
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
