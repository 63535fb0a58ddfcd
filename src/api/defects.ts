/** What is not one of our errors is a defect: it gets a code of its own, and its stack goes to the log. */
import { messageOf, UnderstudyError } from '../lib/index.ts';
import { accessDenied } from './access.ts';
import { apiErrors } from './errors.ts';

/** `error` itself when it is ours, else API_INTERRUPTED for an abort, API_ACCESS_DENIED for a right that is missing, and API_DEFECT for anything unexpected. */
export function asOperatingError(error: unknown): UnderstudyError {
  if (error instanceof UnderstudyError) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return apiErrors.make('API_INTERRUPTED', 'interrupted', { cause: error });
  }
  const denied = accessDenied(error);
  if (denied) return denied;
  return apiErrors.make('API_DEFECT', messageOf(error), {
    cause: error,
    details: error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {},
  });
}
