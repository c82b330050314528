/** Injection tokens of what every service has. Symbols, so that two rooms can not collide on a string. */
export const LOGGER = Symbol('LOGGER');
export const CONFIG = Symbol('CONFIG');
export const METRICS = Symbol('METRICS');
export const HEALTH_CHECKS = Symbol('HEALTH_CHECKS');
export const CLOCK = Symbol('CLOCK');

/** Answers the current instant in Unix milliseconds. Created in `main.ts`; core receives its value, never the clock. */
export type Clock = () => number;
