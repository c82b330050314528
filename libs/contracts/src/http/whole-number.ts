import { z } from 'zod';
import { required } from './violations.ts';

export const DAY_SECONDS = 86_400;
/** Requests per minute that can be asked for, and be set. */
export const RATE_MAX = 1_000_000;

export const whole = (unit: string, min: number, max: number) =>
  z
    .int(required(`a whole number of ${unit}, ${min} to ${max}`))
    .min(min, `This must be at least ${min}.`)
    .max(max, `This must be at most ${max}.`);

export const seconds = (min: number, max: number) => whole('seconds', min, max);
