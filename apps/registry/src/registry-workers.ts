import { engineWorkers, type EngineParts } from './engine/engine-workers.ts';
import type { RedeliveryParts } from './redelivery/redelivery.ports.ts';
import { startRedeliveryWorker } from './redelivery/redelivery.worker.ts';
import { makeRequestValidation } from './validation/request-validation.ts';
import { makeRequestPorts, type ValidationParts } from './validation/validation.ports.ts';
import { startValidationWorker } from './validation/validation.worker.ts';
import type { Worker } from './worker.runner.ts';

export const REGISTRY_WORKERS = Symbol('REGISTRY_WORKERS');

/** All workers of a registry. */
export function registryWorkers(parts: ValidationParts & EngineParts & RedeliveryParts): readonly Worker[] {
  return [
    {
      name: 'validation',
      trouble: 'a consumer of validations is not running',
      start: () => startValidationWorker(parts, makeRequestValidation(makeRequestPorts(parts))),
    },
    ...engineWorkers(parts),
    {
      name: 'redelivery',
      trouble: 'the consumer of redeliveries is not running',
      start: () => startRedeliveryWorker(parts),
    },
  ];
}
