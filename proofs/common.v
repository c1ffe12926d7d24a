(** What all files share: finite sums, laws, softmax, bounds of ln.

    A row of n numbers is a function of which the entries 0, ..., n-1 are read. All numbers are
    real: nothing is rounded. In Coq ln x = 0 for x <= 0, so that 0 ln 0 = 0 and ln 0 = 0. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** f 0 + ... + f (n-1). *)
Fixpoint Sum (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S m => Sum m f + f m end.

Lemma Sum_sum_n n f : Sum (S n) f = sum_n f n.
Proof.
  induction n.
  - simpl. rewrite sum_O. ring.
  - rewrite sum_Sn, <- IHn. reflexivity.
Qed.
Lemma Sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> Sum n f = Sum n g.
Proof. intro H. induction n; simpl; [reflexivity|]. rewrite IHn, H; [reflexivity|lia|]. intros; apply H; lia. Qed.
Lemma Sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> Sum n f <= Sum n g.
Proof. intro H. induction n; simpl; [lra|]. apply Rplus_le_compat; [apply IHn; intros|]; apply H; lia. Qed.
Lemma Sum_0 n f : (forall i, (i < n)%nat -> f i = 0) -> Sum n f = 0.
Proof. intro H. induction n; simpl; [reflexivity|]. rewrite IHn, H; [ring|lia|]. intros; apply H; lia. Qed.
Lemma Sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= Sum n f.
Proof. intro H. rewrite <- (Sum_0 n (fun _ => 0)); [|trivial]. apply Sum_le. exact H. Qed.
Lemma Sum_pos n f : (0 < n)%nat -> (forall i, (i < n)%nat -> 0 < f i) -> 0 < Sum n f.
Proof.
  intros Hn H. destruct n; [lia|]. simpl.
  apply Rplus_le_lt_0_compat; [apply Sum_nonneg; intros; apply Rlt_le|]; apply H; lia.
Qed.
Lemma Sum_plus n f g : Sum n (fun i => f i + g i) = Sum n f + Sum n g.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_minus n f g : Sum n (fun i => f i - g i) = Sum n f - Sum n g.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_scal n c f : Sum n (fun i => c * f i) = c * Sum n f.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_scal_r n c f : Sum n (fun i => f i * c) = Sum n f * c.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_const n c : Sum n (fun _ => c) = INR n * c.
Proof. induction n; [simpl; ring|]. rewrite S_INR. simpl Sum. rewrite IHn. ring. Qed.
Lemma Sum_swap n m (f : nat -> nat -> R) :
  Sum n (fun i => Sum m (fun j => f i j)) = Sum m (fun j => Sum n (fun i => f i j)).
Proof.
  induction n; simpl.
  - symmetry. apply Sum_0. trivial.
  - rewrite IHn, <- Sum_plus. reflexivity.
Qed.
Lemma Sum_lt n f g k : (k < n)%nat -> (forall i, (i < n)%nat -> f i <= g i) -> f k < g k -> Sum n f < Sum n g.
Proof.
  intros Hk H L. induction n; [lia|]. simpl. destruct (Nat.eq_dec k n) as [->|].
  - apply Rplus_le_lt_compat; [apply Sum_le; intros; apply H; lia|exact L].
  - apply Rplus_lt_le_compat; [apply IHn; [lia|intros; apply H; lia]|apply H; lia].
Qed.
Lemma Sum_term n f k : (k < n)%nat -> (forall i, (i < n)%nat -> 0 <= f i) -> f k <= Sum n f.
Proof.
  intros Hk H. induction n; [lia|]. simpl.
  destruct (Nat.eq_dec k n) as [->|].
  - assert (0 <= Sum n f) by (apply Sum_nonneg; intros; apply H; lia). lra.
  - assert (f k <= Sum n f) by (apply IHn; [lia|intros; apply H; lia]).
    assert (0 <= f n) by (apply H; lia). lra.
Qed.
Lemma Sum_delta n k (f : nat -> R) : (k < n)%nat -> Sum n (fun i => if Nat.eqb i k then f i else 0) = f k.
Proof.
  intro H. induction n; [lia|]. simpl. destruct (Nat.eqb_spec n k).
  - subst. rewrite Sum_0; [ring|]. intros i Hi. destruct (Nat.eqb_spec i k); [lia|reflexivity].
  - rewrite IHn; [ring|lia].
Qed.
Lemma Sum_0_inv n f : (forall i, (i < n)%nat -> 0 <= f i) -> Sum n f = 0 -> forall i, (i < n)%nat -> f i = 0.
Proof.
  intros H E i Hi. apply Rle_antisym; [|apply H; exact Hi].
  rewrite <- E. apply Sum_term; assumption.
Qed.
Lemma is_derive_Sum n (f : nat -> R -> R) (d : nat -> R) x :
  (forall i, (i < n)%nat -> is_derive (f i) x (d i)) ->
  is_derive (fun t => Sum n (fun i => f i t)) x (Sum n d).
Proof.
  intro H. induction n; simpl.
  - apply @is_derive_const.
  - apply (is_derive_plus (V := R_NormedModule) (fun t => Sum n (fun i => f i t)) (f n)).
    + apply IHn. intros; apply H; lia.
    + apply H; lia.
Qed.

(** A probability vector of n entries. *)
Definition Law (n : nat) (p : nat -> R) : Prop :=
  (forall i, (i < n)%nat -> 0 <= p i) /\ Sum n p = 1.
(** The mean of x under p. *)
Definition Mean n p x := Sum n (fun i => p i * x i).
(** The dot product of the first n entries. *)
Definition dot n u v := Sum n (fun i => u i * v i).
(** The entropy. *)
Definition Ent n q := - Sum n (fun i => q i * ln (q i)).
(** Softmax of n logits. *)
Definition softmax n z i := exp (z i) / Sum n (fun j => exp (z j)).
(** The row z with t in place k. *)
Definition upd (z : nat -> R) k t := fun j => if Nat.eqb j k then t else z j.
(** M is the maximum of x. *)
Definition is_max n (x : nat -> R) M :=
  (exists i, (i < n)%nat /\ x i = M) /\ (forall i, (i < n)%nat -> x i <= M).

Lemma Law_le1 n p i : Law n p -> (i < n)%nat -> p i <= 1.
Proof. intros [P E] Hi. rewrite <- E. apply Sum_term; assumption. Qed.
Lemma Law_n n p : Law n p -> (0 < n)%nat.
Proof. intros [_ E]. destruct n; [simpl in E; lra|lia]. Qed.

Lemma ln_le_sub1 x : 0 < x -> ln x <= x - 1.
Proof. intro P. pose proof (exp_ineq1_le (ln x)) as Q. rewrite exp_ln in Q; lra. Qed.
Lemma ln_lt_sub1 x : 0 < x -> x <> 1 -> ln x < x - 1.
Proof.
  intros P N. assert (ln x <> 0) as Z.
  { intro E. apply N. apply ln_inv; [exact P|lra|]. rewrite E, ln_1. reflexivity. }
  pose proof (exp_ineq1 (ln x) Z) as Q. rewrite exp_ln in Q; lra.
Qed.
Lemma ln_ge_1sub x : 0 < x -> 1 - / x <= ln x.
Proof.
  intro P. assert (Q0 : 0 < / x) by (apply Rinv_0_lt_compat; exact P).
  pose proof (ln_le_sub1 (/ x) Q0) as Q. rewrite ln_Rinv in Q; lra.
Qed.
Lemma ln_mono a b : 0 < a -> a <= b -> ln a <= ln b.
Proof. intros P [L|E]; [apply Rlt_le, ln_increasing; assumption|subst; lra]. Qed.
Lemma ln_quot a b : 0 < a -> 0 < b -> ln (a / b) = ln a - ln b.
Proof. intros Ha Hb. unfold Rdiv. rewrite ln_mult, ln_Rinv; [ring|exact Hb|exact Ha|apply Rinv_0_lt_compat, Hb]. Qed.
Lemma ln_0 : ln 0 = 0.
Proof. unfold ln. destruct (Rlt_dec 0 0) as [h|]; [exfalso; lra|reflexivity]. Qed.

Lemma upd_same z k j : upd z k (z k) j = z j.
Proof. unfold upd. destruct (Nat.eqb_spec j k); subst; reflexivity. Qed.
Lemma Z_pos n (z : nat -> R) : (0 < n)%nat -> 0 < Sum n (fun i => exp (z i)).
Proof. intro. apply Sum_pos; [assumption|]. intros. apply exp_pos. Qed.
Lemma softmax_law n z : (0 < n)%nat -> Law n (softmax n z).
Proof.
  intro Hn. pose proof (Z_pos n z Hn) as Z. split.
  - intros i _. apply Rlt_le, Rdiv_lt_0_compat; [apply exp_pos|exact Z].
  - unfold softmax, Rdiv. rewrite Sum_scal_r. field. lra.
Qed.
Lemma softmax_pos n z i : (0 < n)%nat -> 0 < softmax n z i.
Proof. intro Hn. apply Rdiv_lt_0_compat; [apply exp_pos|apply (Z_pos n z Hn)]. Qed.

Lemma dot_add d u q r : dot d u (fun i => q i + r i) = dot d u q + dot d u r.
Proof. unfold dot. rewrite <- Sum_plus. apply Sum_ext. intros. ring. Qed.
Lemma dot_sym d u v : dot d u v = dot d v u.
Proof. apply Sum_ext. intros. ring. Qed.
Lemma dot_sub d u v q : dot d (fun i => u i - v i) q = dot d u q - dot d v q.
Proof. unfold dot. rewrite <- Sum_minus. apply Sum_ext. intros. ring. Qed.
Lemma dot_scal_l d c u v : dot d (fun i => c * u i) v = c * dot d u v.
Proof. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.
Lemma dot_scal_r d c u v : dot d u (fun i => c * v i) = c * dot d u v.
Proof. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.
Lemma dot_nonneg d u : 0 <= dot d u u.
Proof. apply Sum_nonneg. intros. pose proof (Rle_0_sqr (u i)). exact H0. Qed.
Lemma dot_zero d u : dot d u u = 0 -> forall i, (i < d)%nat -> u i = 0.
Proof.
  intros E i Hi. apply Rsqr_0_uniq. apply (Sum_0_inv d (fun i => u i * u i)); [|exact E|exact Hi].
  intros j _. apply Rle_0_sqr.
Qed.
Lemma discriminant a b c : 0 <= a -> (forall t, 0 <= a * t ^ 2 + 2 * b * t + c) -> b ^ 2 <= a * c.
Proof.
  intros Ha H. destruct Ha as [Ha|<-].
  - pose proof (H (- b / a)) as Q. replace (a * (- b / a) ^ 2 + 2 * b * (- b / a) + c) with ((a * c - b ^ 2) * / a) in Q by (field; lra).
    apply Rmult_le_reg_r with (/ a); [apply Rinv_0_lt_compat, Ha|]. lra.
  - destruct (Req_dec b 0) as [->|N]; [lra|exfalso].
    pose proof (H (- (c + 1) / (2 * b))) as Q. replace (0 * (- (c + 1) / (2 * b)) ^ 2 + 2 * b * (- (c + 1) / (2 * b)) + c) with (-1) in Q by (field; lra). lra.
Qed.
Lemma cauchy_schwarz d u v : dot d u v ^ 2 <= dot d u u * dot d v v.
Proof.
  rewrite (Rmult_comm (dot d u u)). apply discriminant; [apply dot_nonneg|]. intro t.
  replace (dot d v v * t ^ 2 + 2 * dot d u v * t + dot d u u) with (dot d (fun i => u i + t * v i) (fun i => u i + t * v i)); [apply dot_nonneg|].
  unfold dot. rewrite (Sum_ext d _ (fun i => (v i * v i) * t ^ 2 + 2 * t * (u i * v i) + u i * u i)) by (intros; ring).
  rewrite !Sum_plus, Sum_scal, Sum_scal_r. ring.
Qed.
Lemma dot_positive n v : (exists i, (i < n)%nat /\ v i <> 0) -> 0 < dot n v v.
Proof. intros [i [Hi N]]. destruct (dot_nonneg n v) as [P|P]; [exact P|]. exfalso. apply N, (dot_zero n); [symmetry; exact P|exact Hi]. Qed.
Lemma softmax_ext n f g i : (forall j, f j = g j) -> softmax n f i = softmax n g i.
Proof. intro H. unfold softmax. rewrite H. f_equal. apply Sum_ext. intros. rewrite H. reflexivity. Qed.
(** The weights of the query q among m keys K 0, ..., K (m-1) in d dimensions, without a scale. *)
Definition weight d m (K : nat -> nat -> R) q := softmax m (fun k => dot d (K k) q).
(** The k-th unit vector. *)
Definition unit_vector (k i : nat) : R := if Nat.eqb k i then 1 else 0.

(* A sum over shuffled indices; tau undoes sigma. *)
Lemma Sum_shuffled n sigma tau (f : nat -> R) : (forall i, (i < n)%nat -> (sigma i < n)%nat /\ tau (sigma i) = i) ->
  (forall j, (j < n)%nat -> (tau j < n)%nat /\ sigma (tau j) = j) -> Sum n (fun i => f (sigma i)) = Sum n f.
Proof.
  intros S T.
  transitivity (Sum n (fun i => Sum n (fun j => if Nat.eqb j (sigma i) then f j else 0))).
  - apply Sum_ext. intros i Hi. symmetry. apply (Sum_delta n (sigma i) f), S, Hi.
  - rewrite Sum_swap. apply Sum_ext. intros j Hj.
    transitivity (Sum n (fun i => if Nat.eqb i (tau j) then f j else 0)); [|apply (Sum_delta n (tau j) (fun _ => f j)), T, Hj].
    apply Sum_ext. intros i Hi.
    destruct (Nat.eqb_spec j (sigma i)) as [E|E], (Nat.eqb_spec i (tau j)) as [F|F]; try reflexivity; exfalso.
    + apply F. rewrite E. symmetry. apply S, Hi.
    + apply E. rewrite F. symmetry. apply T, Hj.
Qed.

Lemma Sum_app n m f : Sum (n + m) f = Sum n f + Sum m (fun i => f (n + i)%nat).
Proof. induction m; [rewrite Nat.add_0_r; simpl; ring|]. replace (n + S m)%nat with (S (n + m)) by lia. simpl. rewrite IHm. ring. Qed.
(** The n x m matrix M has rank at most r: it is a product with r in the middle. *)
Definition rank_at_most r n m (M : nat -> nat -> R) := exists A B : nat -> nat -> R,
  forall i j, (i < n)%nat -> (j < m)%nat -> M i j = Sum r (fun k => A i k * B k j).
Lemma rank_add r s n m M N : rank_at_most r n m M -> rank_at_most s n m N -> rank_at_most (r + s) n m (fun i j => M i j + N i j).
Proof.
  intros [A [B H]] [A' [B' H']].
  exists (fun i k => if Nat.ltb k r then A i k else A' i (k - r)%nat), (fun k j => if Nat.ltb k r then B k j else B' (k - r)%nat j).
  intros i j Hi Hj. rewrite H, H', Sum_app by assumption. f_equal; apply Sum_ext; intros k Hk.
  - destruct (Nat.ltb_spec k r); [reflexivity|lia].
  - destruct (Nat.ltb_spec (r + k) r); [lia|]. replace (r + k - r)%nat with k by lia. reflexivity.
Qed.
Lemma rank_scal r n m c M : rank_at_most r n m M -> rank_at_most r n m (fun i j => c * M i j).
Proof.
  intros [A [B H]]. exists (fun i k => c * A i k), B. intros i j Hi Hj. rewrite H, <- Sum_scal by assumption.
  apply Sum_ext. intros. ring.
Qed.
Lemma rank_ext r n m M N : (forall i j, (i < n)%nat -> (j < m)%nat -> M i j = N i j) -> rank_at_most r n m M -> rank_at_most r n m N.
Proof. intros E [A [B H]]. exists A, B. intros. rewrite <- E; auto. Qed.
(* fewer equations than unknowns *)
Definition skip p i := if Nat.ltb i p then i else S i.
Lemma Sum_skip n p f : (p <= n)%nat -> Sum (S n) f = f p + Sum n (fun i => f (skip p i)).
Proof.
  intro Hp. induction n.
  - assert (p = 0)%nat by lia. subst. simpl. ring.
  - destruct (Nat.eq_dec p (S n)) as [->|N].
    + change (Sum (S (S n)) f) with (Sum (S n) f + f (S n)). rewrite Rplus_comm. f_equal. apply Sum_ext.
      intros i Hi. unfold skip. destruct (Nat.ltb_spec i (S n)); [reflexivity|lia].
    + change (Sum (S (S n)) f) with (Sum (S n) f + f (S n)). rewrite IHn by lia. simpl Sum. unfold skip at 3.
      destruct (Nat.ltb_spec n p); [lia|ring].
Qed.
Lemma kernel r : forall n (A : nat -> nat -> R), (r < n)%nat ->
  exists x, (exists i, (i < n)%nat /\ x i <> 0) /\ forall k, (k < r)%nat -> Sum n (fun i => x i * A i k) = 0.
Proof.
  induction r; intros n A Hn.
  - exists (fun _ => 1). split; [exists 0%nat; split; [lia|lra]|intros; lia].
  - destruct (Classical_Prop.classic (exists p, (p < n)%nat /\ A p r <> 0)) as [[p [Hp N]]|Z].
    + destruct n as [|n]; [lia|].
      destruct (IHr n (fun i k => A (skip p i) k - A (skip p i) r / A p r * A p k) ltac:(lia)) as [x [[i [Hi X]] H]].
      set (xp := - Sum n (fun i => x i * (A (skip p i) r / A p r))).
      exists (fun i => if Nat.eqb i p then xp else if Nat.ltb i p then x i else x (pred i)).
      assert (K : forall k, Sum (S n) (fun i => (if Nat.eqb i p then xp else if Nat.ltb i p then x i else x (pred i)) * A i k)
        = xp * A p k + Sum n (fun i => x i * A (skip p i) k)).
      { intro k. rewrite (Sum_skip n p) by lia. rewrite Nat.eqb_refl. f_equal. apply Sum_ext. intros j Hj. unfold skip.
        destruct (Nat.ltb_spec j p).
        - destruct (Nat.eqb_spec j p); [lia|]. destruct (Nat.ltb_spec j p); [reflexivity|lia].
        - destruct (Nat.eqb_spec (S j) p); [lia|]. destruct (Nat.ltb_spec (S j) p); [lia|reflexivity]. }
      split.
      * exists (skip p i). unfold skip. destruct (Nat.ltb_spec i p).
        -- split; [lia|]. destruct (Nat.eqb_spec i p); [lia|]. destruct (Nat.ltb_spec i p); [exact X|lia].
        -- split; [lia|]. destruct (Nat.eqb_spec (S i) p); [lia|]. destruct (Nat.ltb_spec (S i) p); [lia|exact X].
      * intros k Hk. rewrite K. unfold xp. destruct (Nat.eq_dec k r) as [->|Nk].
        -- rewrite (Sum_ext n (fun i => x i * A (skip p i) r) (fun i => x i * (A (skip p i) r / A p r) * A p r)) by (intros; field; exact N).
           rewrite Sum_scal_r. ring.
        -- specialize (H k ltac:(lia)).
           rewrite (Sum_ext n _ (fun i => x i * A (skip p i) k - x i * (A (skip p i) r / A p r) * A p k)) in H by (intros; ring).
           rewrite Sum_minus, Sum_scal_r in H. lra.
    + destruct (IHr n A ltac:(lia)) as [x [X H]]. exists x. split; [exact X|]. intros k Hk.
      destruct (Nat.eq_dec k r) as [->|]; [|apply H; lia]. apply Sum_0. intros i Hi.
      destruct (Req_dec (A i r) 0) as [->|N]; [ring|]. exfalso. apply Z. exists i. auto.
Qed.
Lemma diagonal_rank r n D : (forall i, (i < n)%nat -> D i <> 0) -> rank_at_most r n n (fun i j => if Nat.eqb i j then D i else 0) -> (n <= r)%nat.
Proof.
  intros N [A [B H]]. destruct (Nat.le_gt_cases n r) as [|L]; [assumption|exfalso].
  destruct (kernel r n A L) as [x [[i [Hi X]] K]]. apply (Rmult_integral_contrapositive_currified _ _ X (N i Hi)).
  transitivity (Sum n (fun l => if Nat.eqb l i then x l * D l else 0)); [rewrite (Sum_delta n i (fun l => x l * D l) Hi); reflexivity|].
  transitivity (Sum n (fun l => Sum r (fun k => x l * A l k * B k i))).
  - apply Sum_ext. intros l Hl. specialize (H l i Hl Hi).
    rewrite (Sum_ext r (fun k => x l * A l k * B k i) (fun k => x l * (A l k * B k i))) by (intros; ring).
    rewrite Sum_scal, <- H. destruct (Nat.eqb l i); ring.
  - rewrite Sum_swap. apply Sum_0. intros k Hk. rewrite Sum_scal_r, K by exact Hk. ring.
Qed.
