;; Runs the SQL statement that the task's arguments are: a JSON string without anything escaped in it.
;;
;;   INSERT INTO sys.tasks (program, arguments) VALUES ('statement', '"INSERT INTO t VALUES (1)"');
(module
  (import "relix" "arguments" (func $arguments (result i32)))
  (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
  (import "relix" "sql" (func $sql (param i32 i32 i32 i32) (result i32)))
  (import "relix" "result" (func $result (param i32 i32)))
  (import "relix" "fail" (func $fail (param i32 i32)))
  (memory (export "memory") 4)

  (func (export "run") (local $len i32)
    (local.set $len (call $arguments))
    (if (i32.gt_u (local.get $len) (i32.const 65536))
      (then (call $fail (i32.const 0) (i32.const 0))))
    (drop (call $response_read (i32.const 0) (i32.const 0) (local.get $len)))
    ;; What is between the quotes.
    (local.set $len
      (call $sql (i32.const 1) (i32.sub (local.get $len) (i32.const 2)) (i32.const 0) (i32.const 0)))
    (if (i32.lt_s (local.get $len) (i32.const 0))
      (then
        (local.set $len (call $response_read (i32.const 0) (i32.const 0) (i32.const 65536)))
        (call $fail (i32.const 0) (local.get $len))))
    (local.set $len (call $response_read (i32.const 0) (i32.const 0) (i32.const 65536)))
    (call $result (i32.const 0) (local.get $len))))
