# Sourced by the scripts beside it: which Pythons pyproject.toml names, and where they are.

supported() { sed -n 's/.*Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml | sort -rV; }

interpreter() { # of a version such as 3.12, from pyenv or the PATH; a shim of pyenv may be there and not run
    local candidate
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python "$(command -v "python$1" || true)"; do
        if [[ -x $candidate ]] && "$candidate" -c "import sys, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python $1 is not installed" >&2
    return 1
}
