/**
 * A secret named in the configuration. It is looked up when it is used, each time: a command that needs no
 * password runs without one, and a password that was changed is taken up without a restart. It never shows in
 * logs or JSON.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { messageOf } from '../lib/index.ts';
import { configErrors } from './errors.ts';

export class Secret {
  readonly #text: string;
  readonly #baseDir: string;
  /** The configuration key that holds it: `servers.mail-a.imap.masterSecret`. */
  readonly key: string;

  /** `text` as in the file: `${file:PATH}` (relative to `baseDir`), `${env:NAME}`, or the secret itself. */
  constructor(text: string, key = 'a secret', baseDir = '.') {
    this.#text = text;
    this.key = key;
    this.#baseDir = baseDir;
  }

  /** The same secret, told where it stands. */
  at(key: string, baseDir: string): Secret {
    return new Secret(this.#text, key, baseDir);
  }

  /** Where it comes from: `file:/etc/understudy/master`, `env:KEY`, or `literal`. */
  get source(): string {
    return referenceOf(this.#text) ?? 'literal';
  }

  /** The secret; one trailing newline of a file is not part of it. @throws CONFIG_SECRET_MISSING */
  reveal(): string {
    const reference = referenceOf(this.#text);
    if (reference === undefined) return this.#text;
    const name = reference.slice(reference.indexOf(':') + 1);
    return reference.startsWith('env:')
      ? this.#fromEnvironment(name)
      : this.#fromFile(resolve(this.#baseDir, name));
  }

  toJSON(): string {
    return `[secret from ${this.source}]`;
  }

  [inspect.custom](): string {
    return this.toJSON();
  }

  #fromEnvironment(name: string): string {
    const value = process.env[name];
    if (value === undefined || value === '') {
      throw this.#missing(`the environment variable ${name} is ${value === '' ? 'empty' : 'not set'}`, {
        remedy: `Set it in the environment of understudy: export ${name}=…`,
      });
    }
    return value;
  }

  #fromFile(path: string): string {
    let value: string;
    try {
      value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      throw this.#missing(`cannot read ${path} (${messageOf(error)})`, {
        remedy: `Write the secret into ${path}, readable by the user that runs understudy and no other.`,
        cause: error,
      });
    }
    if (value === '') {
      throw this.#missing(`${path} is empty`, { remedy: `Write the secret into ${path}.` });
    }
    return value;
  }

  #missing(why: string, options: { remedy: string; cause?: unknown }) {
    return configErrors.make('CONFIG_SECRET_MISSING', `no secret for ${this.key}: ${why}`, {
      ...options,
      details: { key: this.key, source: this.source },
    });
  }
}

/** True for `${…}` that is neither a file nor an environment reference: a slip, not a secret. */
export function isBrokenReference(text: string): boolean {
  return text.startsWith('${') && referenceOf(text) === undefined;
}

function referenceOf(text: string): string | undefined {
  return /^\$\{((?:file|env):[^}]+)\}$/.exec(text)?.[1];
}
