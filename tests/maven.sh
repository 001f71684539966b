# Sourced by tests/run and tests/bench from the project's root: Java libraries from Maven Central.

# Copies the jars that the pom file $2 names from Maven Central into the folder target/$1/lib, whose path is then in $libs; a folder that
# was made from the same pom stays as it is. Returns 1 with a reason in $why where that cannot be had here (no Java, no Maven, or Maven
# Central does not give it: skip the suite), 2 where the pom itself is wrong (fail it).
maven_libs() {
  libs=$PWD/target/$1/lib why=""
  local java log
  java=$(java -version 2>&1 | sed -nE '1s/^[^"]*"([0-9]+).*/\1/p')
  [ "${java:-0}" -ge 17 ] || { why="there is no Java 17 or later (tests/run --install, or apt-get install default-jre-headless)"; return 1; }
  command -v mvn >/dev/null || { why="there is no Maven (tests/run --install, or apt-get install maven)"; return 1; }
  cmp -s "$2" "$libs/.pom.xml" && return 0
  rm -rf "$libs"; mkdir -p "$libs"; log=$(mktemp)
  if mvn -B -q -f "$2" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$libs" >"$log" 2>&1; then
    cp "$2" "$libs/.pom.xml"; rm -f "$log"; return 0
  fi
  why=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -m1 "^\[ERROR\]" | sed "s/^\[ERROR\] *//" | cut -c1-300); rm -rf "${libs%/lib}" "$log"
  case "$why" in
    *[Cc]"ould not find artifact"*|*"ould not transfer"*|*"ould not be resolved"*|*"ould not resolve"*|*"was not found in"*) why="Maven Central does not give it here: $why"; return 1 ;;
    *) return 2 ;;
  esac
}
