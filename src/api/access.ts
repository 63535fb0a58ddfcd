/** Whether this user may look into the folders of the service: told before anything is made of what cannot be seen. */
import { accessSync, constants } from 'node:fs';
import { messageOf, type UnderstudyError } from '../lib/index.ts';
import { apiErrors } from './errors.ts';

/** @throws API_ACCESS_DENIED. A folder that is not there is no such case. */
export function requireAccess(folder: string, right: 'search' | 'read' = 'read'): void {
  try {
    accessSync(`${folder}/.`, right === 'read' ? constants.R_OK | constants.X_OK : constants.X_OK);
  } catch (error) {
    const denied = accessDenied(error, folder);
    if (denied) throw denied;
  }
}

/** API_ACCESS_DENIED for what the file system said of a path that this user may not use, or that leads through a file; else undefined. */
export function accessDenied(error: unknown, folder?: string): UnderstudyError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '', path = folder } = error as NodeJS.ErrnoException;
  if (path === undefined || !DENIALS.includes(code)) return undefined;
  const message = `this user may not use ${folder ?? path}: ${messageOf(error)}`;
  return apiErrors.make('API_ACCESS_DENIED', message, { cause: error, details: { path } });
}

const DENIALS: readonly string[] = ['EACCES', 'EPERM', 'ENOTDIR'];
