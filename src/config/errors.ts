/** Codes of the configuration: always the operator's file, never the servers it names. */
import { defineErrors } from '../lib/index.ts';

export const configErrors = defineErrors({
  CONFIG_NOT_FOUND: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'The configuration file does not exist.',
    remedy: 'Write one with: understudy init · or name it with --config FILE',
  },
  CONFIG_NOT_READABLE: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'The configuration file exists but cannot be read.',
    remedy: 'Give the user that runs understudy the right to read it, or run it as another user.',
  },
  CONFIG_SYNTAX: {
    kind: 'usage',
    retry: 'never',
    summary:
      'The configuration file is not YAML: wrong indentation, an unclosed quote or bracket, a key given twice.',
    remedy: 'Correct the named line.',
  },
  CONFIG_UNKNOWN_KEY: {
    kind: 'usage',
    retry: 'never',
    summary: 'A key is not one that this version knows; the message names the nearest known one.',
    remedy: 'Correct the spelling or remove the key; docs/reference/configuration.md lists all keys.',
  },
  CONFIG_INVALID: {
    kind: 'usage',
    retry: 'never',
    summary: 'A value is missing, of the wrong type, out of range, or does not go with another one.',
    remedy: 'Correct the named line; docs/reference/configuration.md says what each key takes.',
  },
  CONFIG_UNKNOWN_REFERENCE: {
    kind: 'usage',
    retry: 'never',
    summary: 'A value names a server or a directory that the file does not define.',
    remedy: 'Correct the name, or define what it names.',
  },
  CONFIG_UNKNOWN_SERVER: {
    kind: 'usage',
    retry: 'never',
    summary: 'A command names a server that the configuration does not define.',
    remedy: 'Name one of the servers of the configuration.',
  },
  CONFIG_UNKNOWN_PAIR: {
    kind: 'usage',
    retry: 'never',
    summary: 'A command names a pair that the configuration does not define.',
    remedy: 'Name one of the pairs of the configuration.',
  },
  CONFIG_NOT_SHADOWED: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'A command would shadow a server for which the configuration says no accounts.',
    remedy: 'Add accounts to the server: { list: [ALICE, BOB] }, { from: directory } or { from: doveadm }.',
  },
  CONFIG_SECRET_MISSING: {
    kind: 'usage',
    retry: 'after-repair',
    summary:
      'A secret is given by reference, and the file or the environment variable is absent, unreadable or empty.',
    remedy: 'Provide the secret where the reference points, or correct the reference.',
  },
});
