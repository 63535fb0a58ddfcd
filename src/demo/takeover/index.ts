/** The second act: the server dies, and a standby with another name takes its place while its clients go on. */
export { type Stage, setTheStage } from './stage.ts';
export { type TakeOverResult, takeOver } from './take-over.ts';
