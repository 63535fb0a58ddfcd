export { type PushScriptOptions, pushScript, TIMEOUT_MARGIN_MS } from './script.ts';
