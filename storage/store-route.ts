import type { StoreAccess } from '../contract/nodes/nodes.ts';
import type { ControlPlaneAccess } from './control-plane-requests.ts';
import { openControlPlaneStore } from './control-plane-store.ts';
import { openObjectStore, type ObjectStore } from './object-store.ts';

/** How an agent reaches objects: at the store itself with its keys, or through the control plane with the node's own key. */
export type StoreRoute = StoreAccess | ControlPlaneAccess;

/** Whether objects go through the control plane. */
export function isThroughControlPlane(route: StoreRoute): route is ControlPlaneAccess {
  return 'server_url' in route;
}

/** Opens the store of a route. Nothing is contacted until the first call. */
export function openRoutedStore(route: StoreRoute, options: { deadlineMs?: number } = {}): ObjectStore {
  return isThroughControlPlane(route)
    ? openControlPlaneStore(route, options)
    : openObjectStore(route, options);
}

/** Where a route leads, for people. */
export function routeTarget(route: StoreRoute): string {
  return isThroughControlPlane(route) ? `through ${route.server_url}` : route.endpoint;
}
