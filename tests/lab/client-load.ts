/** The demo's clients are the tests' clients. */
export * from '../../src/demo/load/index.ts';
