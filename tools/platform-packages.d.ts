// The packages of the platforms, of which at most one is installed. For the type check of this repository only.

declare module 'tcs-secret-delivery-*' {
  const native: typeof import('../native')
  export = native
}
