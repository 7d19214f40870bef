// For webpack, which refuses .node files without a loader, but copies what `new URL` names and gives its place.
export default new URL('./tcs-secret-delivery.linux-x64-musl.node', import.meta.url)
