import { cast } from './casts.ts';
import type { CesqlError, CesqlErrorKind } from './cesql-error.ts';
import { zeroOf, type CesqlExpression, type CesqlType, type CesqlValue } from './expression.ts';

/** The context attributes of an event by their names; a `Map` is one. */
export interface CesqlAttributes {
  get(name: string): CesqlValue | undefined;
}

/** One node of an expression, compiled: its value, or what failed in it. */
export type Evaluate = (context: Context) => CesqlValue | Failure;

/** One evaluation. */
export interface Context extends StepCount {
  readonly attributes: CesqlAttributes;
}

/** An error on its way up. Values are primitive, so `typeof x === 'object'` tells it from them. */
export interface Failure {
  readonly error: CesqlError;
  /** What raised it. */
  readonly node: CesqlExpression;
  /** The value that this node has all the same. */
  readonly value: CesqlValue;
}

export function fail(kind: CesqlErrorKind, detail: string, node: CesqlExpression, value: CesqlValue): Failure {
  return { error: { kind, detail, position: node.at }, node, value };
}

/** The value of an operand in a type, or a CastError. */
export function castTo(type: CesqlType, value: CesqlValue | Failure, operand: CesqlExpression): CesqlValue | Failure {
  if (typeof value === 'object') return value;
  return cast(value, type) ?? fail('cast', `${show(value)} is no ${type}`, operand, zeroOf(type));
}

function show(value: CesqlValue): string {
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

/** What evaluations have cost so far, in characters touched. */
export interface StepCount {
  steps: number;
}

/**
 * Characters that all expressions of one subscription may touch of one event, counted where they are read, made, and
 * compared again. At worst 30 ms. No sensible ones come near; one that joins a long attribute a thousand times does. Not
 * for each expression: 64 KiB of filters have room for hundreds, and whoever matches waits for them all.
 */
export const CESQL_MAX_STEPS = 10_000_000;

/** Thrown when an evaluation takes too long: the only way out of any depth at once. */
export class OutOfSteps extends Error {
  readonly code = 'cesql.out_of_steps';
}

/** @throws OutOfSteps */
export function spend(count: StepCount, steps: number): void {
  count.steps += steps;
  if (count.steps > CESQL_MAX_STEPS) throw new OutOfSteps();
}
