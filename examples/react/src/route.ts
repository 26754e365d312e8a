// Which conversation is open: the part of the address behind "#/". Empty means a new one, null means none.
import { useSyncExternalStore } from 'react'

export const linkTo = (route: string) => `#/${route}`

export const getRoute = (): string | null => (location.hash.startsWith('#/') ? location.hash.slice(2) : null)

export function goTo(route: string) {
  location.replace(linkTo(route))
}

export function useRoute(): string | null {
  return useSyncExternalStore((changed) => {
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, getRoute)
}
