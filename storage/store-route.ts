import type { StoreAccess } from '../contract/nodes/nodes.ts';
import type { ControlPlaneAccess } from './control-plane-requests.ts';
import { openControlPlaneStore } from './control-plane-store.ts';
import { openObjectStore, type ObjectStore } from './object-store.ts';

/**
 * How an agent accesses objects: the store itself with its keys, or the control plane with the node's own
 * key.
 */
export type StoreRoute = StoreAccess | ControlPlaneAccess;

/** Returns whether objects are accessed through the control plane. */
export function isThroughControlPlane(route: StoreRoute): route is ControlPlaneAccess {
  return 'server' in route;
}

/** Opens the store of a route. Contacts nothing before the first call. */
export function openRoutedStore(route: StoreRoute, options: { deadlineMs?: number } = {}): ObjectStore {
  return isThroughControlPlane(route)
    ? openControlPlaneStore(route, options)
    : openObjectStore(route, options);
}

/** Returns the target of a route, for people. */
export function routeTarget(route: StoreRoute): string {
  return isThroughControlPlane(route) ? `through ${route.server.url}` : route.endpoint;
}
