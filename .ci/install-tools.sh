#!/bin/bash
# Installs what is missing of the Debian packages named on the command line;
# with --tests, everything that the tests want; with --stack, the servers of
# `make demo STACK=full`.
set -euo pipefail
cd "$(dirname "$0")/.."

versitygw=v1.8.0

packages=("$@")
gateway=false
case "${1:-}" in
--tests)
	packages=(gcc libc6-dev ffmpeg opus-tools chromium redis-server postgresql pgbouncer nginx simple-whip-client gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice)
	gateway=true
	;;
--stack)
	packages=(ffmpeg redis-server postgresql nginx)
	gateway=true
	;;
esac

# The S3 server has no Debian package; it is built from the module proxy, into a
# folder where the tests look.
if $gateway && [ ! -x .tools/versitygw ]; then
	echo "Building the S3 server versitygw $versitygw ..."
	GOFLAGS=-mod=mod GOBIN="$PWD/.tools" go install "github.com/versity/versitygw/cmd/versitygw@$versitygw"
fi

missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

command -v apt-get >/dev/null || {
	echo "Please install: ${missing[*]} (only Debian's apt-get is known here)" >&2
	exit 1
}
root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
echo "Installing ${missing[*]} ..."
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -qq
# Without services: the tests start their own on free ports.
"${root[@]}" env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
