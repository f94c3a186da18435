# shellcheck shell=bash
# shellcheck disable=SC2317,SC2329 # locked calls what its arguments name
# Fetches kernels, QEMU and busybox. Sourced by run, never run itself.
# Expects `set -euo pipefail`.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ringcore/kernels
CODENAME=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
SUITES="$CODENAME bullseye-security bookworm-security trixie-security trixie-backports sid"

die() {
  echo "run: $*" >&2
  exit 125
}

# own TOOL ARG…: an apt tool on lists of our own, so that the machine's stay as they are.
own() {
  "$1" -qq -o Dir::State="$CACHE/apt" -o Dir::State::Status=/var/lib/dpkg/status -o Dir::Cache="$CACHE/apt" \
    -o Dir::Etc::SourceList="$CACHE/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Acquire::Languages=none \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Sandbox::User="$(id -un)" "${@:2}"
}

# index [fresh]: makes $CACHE/index, a day old at most: lines "RELEASE PACKAGE", oldest kernel first.
index() {
  [[ ${1:-} == fresh || -z $(find "$CACHE/index" -mtime -1 2>/dev/null) ]] || return 0
  echo "run: reading package lists" >&2
  local uris main security suite
  uris=$(apt-get update --print-uris 2>/dev/null | sed -n "s|^'\([^']*\)/dists/\([^']*\)/InRelease'.*|\2 \1|p") || true
  main=$(awk -v s="$CODENAME" '$1==s{print $2;exit}' <<<"$uris")
  security=$(awk -v s="$CODENAME-security" '$1==s{print $2;exit}' <<<"$uris")
  [[ -n $main && -n $security ]] || die "apt has no $CODENAME and $CODENAME-security source to take the mirror from"
  mkdir -p "$CACHE/apt/lists/partial" "$CACHE/apt/archives/partial"
  for suite in $SUITES; do
    case $suite in
      *-security) echo "deb $security $suite main" ;;
      *) echo "deb $main $suite main" ;;
    esac
  done >"$CACHE/apt/sources.list"
  own apt-get update >"$CACHE/apt/log" 2>&1 || echo "run: some suites did not answer: $CACHE/apt/log" >&2
  own apt-cache pkgnames linux- |
    sed -nE 's/^(linux-(image|binary)-([0-9]+\.[0-9]+\.[0-9].*)-cloud-amd64)$/\3 \2 \1/p' |
    sort -k1,1V -k2,2 | awk '!seen[$1]++{print $1,$3}' >"$CACHE/index.new"
  [[ -s $CACHE/index.new ]] || die "no kernel package found: $CACHE/apt/log"
  mv "$CACHE/index.new" "$CACHE/index"
}

# pick KERNEL: prints its newest line of the index.
pick() {
  if [[ $1 == newest ]]; then
    tail -n 1 "$CACHE/index"
  else
    awk -v v="$1" '$1==v || index($1,v".")==1 || index($1,v"+")==1 || index($1,v"-")==1' "$CACHE/index" | tail -n 1
  fi
}

# grab PACKAGE NAME FILE: takes the file called NAME out of a package.
grab() {
  local folder status=0
  folder=$(mktemp -d "$CACHE/fetch.XXXX")
  if ! (cd "$folder" && own apt-get download "$1" && dpkg-deb -x ./*.deb x &&
    find x -name "$2" -type f -exec mv {} "$3" \;) >"$CACHE/grab.log" 2>&1 || [[ ! -s $3 ]]; then
    status=1
  fi
  rm -r "$folder"
  return "$status"
}

# fetch KERNEL [again]: leaves $CACHE/vmlinuz-KERNEL.
fetch() {
  local line release
  line=$(pick "$1")
  [[ -n $line ]] || die "no kernel '$1' (run --list shows what there is)"
  release=${line% *}
  if [[ ! -s $CACHE/boot/$release ]]; then
    echo "run: fetching ${line#* }" >&2
    mkdir -p "$CACHE/boot"
    if ! grab "${line#* }" 'vmlinuz*' "$CACHE/boot/$release"; then
      [[ -z ${2:-} ]] || die "could not fetch ${line#* }: see $CACHE/grab.log"
      index fresh # the list may be older than the mirror
      fetch "$1" again
      return
    fi
  fi
  ln -sfn "boot/$release" "$CACHE/vmlinuz-$1"
}

# locked COMMAND…: one at a time on this machine.
locked() {
  mkdir -p "$CACHE"
  (exec 9>"$CACHE/lock" && flock 9 && "$@")
}

# need KERNEL: fetches it unless it is there.
need() {
  [[ ! -s $CACHE/vmlinuz-$1 ]] || return 0
  index
  fetch "$1"
}

# tools: QEMU from the machine's apt; busybox out of its package.
tools() {
  if ! command -v qemu-system-x86_64 >/dev/null; then
    [[ $(id -u) -eq 0 ]] || die "qemu-system-x86_64 is missing: apt-get install --no-install-recommends qemu-system-x86"
    echo "run: installing qemu-system-x86" >&2
    (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y -o DPkg::Lock::Timeout=120 \
      --no-install-recommends qemu-system-x86) >"$CACHE/qemu.log" 2>&1 ||
      die "could not install qemu-system-x86: see $CACHE/qemu.log"
  fi
  [[ ! -x $CACHE/busybox ]] || return 0
  index
  grab "busybox-static/$CODENAME" busybox "$CACHE/busybox" ||
    (index fresh && grab "busybox-static/$CODENAME" busybox "$CACHE/busybox") ||
    die "could not fetch busybox-static: see $CACHE/grab.log"
}

# list: the kernels to be had, and which are cached.
list() {
  local kernel release have
  {
    awk '{split($1,a,"."); k=a[1]"."a[2]; r[k]=$1; if(!s[k]++)o[++n]=k} END{for(i=1;i<=n;i++)print o[i],r[o[i]]}' "$CACHE/index"
    echo newest "$(tail -n 1 "$CACHE/index" | cut -d' ' -f1)"
  } | while read -r kernel release; do
    have=$(readlink "$CACHE/vmlinuz-$kernel" 2>/dev/null) && have="cached ${have#boot/}" || have=''
    printf '%-8s %-20s %s\n' "$kernel" "$release" "$have"
  done
}
