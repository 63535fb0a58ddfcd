export { type TakeOverWorld, takeOverPorts } from './ports.ts';
