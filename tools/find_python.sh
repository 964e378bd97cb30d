#!/usr/bin/env bash
# Prints the interpreter to build the environment with: PYTHON if given, else the first suitable one. With a ROS 2
# installation sourced (ROS_DISTRO), that is the one which imports rclpy.
set -u
# Children must not inherit the start-up hook of a ROS wheel environment.
if [ -n "${_ROS_WHEELS_BOOTSTRAP_COMPLETE:-}" ]; then unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH; fi

fail() { echo "mm_fusion: $1" >&2; exit 2; }
supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }
has_rclpy() { "$1" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("rclpy") is None)' >/dev/null 2>&1; }
version() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }
path_of() { "$1" -c 'import sys; print(sys.executable)'; }

if [ -n "${PYTHON:-}" ]; then
  [ -n "$(version "$PYTHON")" ] || fail "PYTHON=$PYTHON is not a Python that starts"
  supported "$PYTHON" || fail "PYTHON=$PYTHON is Python $(version "$PYTHON"), supported are 3.10 to 3.13"
  if [ -n "${ROS_DISTRO:-}" ] && ! has_rclpy "$PYTHON"; then
    fail "ROS 2 $ROS_DISTRO is sourced but PYTHON=$PYTHON does not import rclpy: leave PYTHON out, or use a shell without ROS"
  fi
  path_of "$PYTHON"
  exit
fi

seen=""
for candidate in python3 /usr/bin/python3 python3.12 python3.11 python3.13 python3.10; do
  command -v "$candidate" >/dev/null 2>&1 || continue
  seen="$seen $(version "$candidate")"
  supported "$candidate" || continue
  if [ -n "${ROS_DISTRO:-}" ] && ! has_rclpy "$candidate"; then continue; fi
  path_of "$candidate"
  exit
done
if [ -n "${ROS_DISTRO:-}" ]; then
  fail "ROS 2 $ROS_DISTRO is sourced but no Python 3.10 to 3.13 imports rclpy (found:${seen:- none}): give PYTHON=..., or use a shell without ROS"
fi
fail "needs Python 3.10 to 3.13 (found:${seen:- none}): install one, or give PYTHON=..."
