#!/bin/sh
# Compiles a program with some roles, and gathers what its image holds in a folder that is not there yet:
#
#   services/heliograph/image.sh api,edge FOLDER [SHARED]
#
# What is compiled stays in SHARED, a folder outside of the sources, and serves builds of these and of other sources.
#
# What is in it is the same, bit by bit, wherever and whenever it is made of the same sources with the
# same tools: no path of this machine and no time goes into it.
set -eu
cd "$(dirname "$0")/../.."
roles=$1 image=$2 shared=${3:-}
target=$(realpath -m "${shared:-${CARGO_TARGET_DIR:-target}}")
crates=${CARGO_HOME:-$HOME/.cargo}
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1767225600}"
export RUSTFLAGS="--remap-path-prefix=$PWD=/heliograph --remap-path-prefix=$target=/target --remap-path-prefix=$crates=/crates"
export CFLAGS="-ffile-prefix-map=$PWD=/heliograph -ffile-prefix-map=$target=/target -ffile-prefix-map=$crates=/crates"

# Cargo takes for compiled what is older than its last work. Files of an archive, or of another clone, may be older than
# what was made of other sources in SHARED: there, a file is as old as its content is known.
if [ -n "$shared" ]; then
  find . -type f | while IFS= read -r file; do
    known=$shared/sources/$file
    cmp -s "$file" "$known" || install -D -m 644 "$file" "$known"
    touch -r "$known" "$file"
  done
fi
CARGO_TARGET_DIR=$target cargo build --release --locked -p heliograph --no-default-features --features "$roles"

program=$target/release/heliograph
mkdir -p "$image/usr/bin" "$image/etc/ssl/certs" "$image/var/lib/heliograph" "$image/tmp"
cp "$program" "$image/usr/bin/heliograph"
# What the program links to, at the places where it looks for it.
ldd "$program" | grep -o '/[^ ]*' | xargs -I{} cp -L --parents {} "$image/"
cp -L /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
echo 'heliograph:x:65532:65532::/var/lib/heliograph:/' >"$image/etc/passwd"
echo 'heliograph:x:65532:' >"$image/etc/group"
chmod 1777 "$image/tmp"
[ "$(id -u)" != 0 ] || chown 65532:65532 "$image/var/lib/heliograph"
find "$image" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
